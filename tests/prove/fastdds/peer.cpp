// The other end of the nodes' topics, by Fast DDS: sends joint states at 1 kHz, images and commands, reads
// what the nodes answer, and says what it read.
//
//     peer DOMAIN SECONDS
//
// UDP over the loopback interface alone, without multicast.
#include <fastdds/rtps/transport/UDPv4TransportDescriptor.h>
#include <fastrtps/utils/IPLocator.h>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "messagesPubSubTypes.h"

namespace fast = eprosima::fastdds::dds;
namespace rtps = eprosima::fastrtps::rtps;
using Clock = std::chrono::steady_clock;
using JointState = sensor_msgs::msg::dds_::JointState_;
using JointStateType = sensor_msgs::msg::dds_::JointState_PubSubType;
using Trajectory = trajectory_msgs::msg::dds_::JointTrajectory_;
using TrajectoryType = trajectory_msgs::msg::dds_::JointTrajectory_PubSubType;

namespace {

template <class T>
T* made(T* entity, const char* what) {
  if (entity == nullptr) {
    std::fprintf(stderr, "no %s\n", what);
    std::exit(1);
  }
  return entity;
}

fast::DomainParticipant* make_participant(int domain) {
  fast::DomainParticipantQos qos;
  auto udp = std::make_shared<eprosima::fastdds::rtps::UDPv4TransportDescriptor>();
  udp->interfaceWhiteList.emplace_back("127.0.0.1");
  qos.transport().use_builtin_transports = false;
  qos.transport().user_transports.push_back(udp);
  rtps::Locator_t peer;
  rtps::IPLocator::setIPv4(peer, "127.0.0.1");
  peer.port = 0;  // every port that a participant may have
  qos.wire_protocol().builtin.initialPeersList.push_back(peer);
  rtps::Locator_t here = peer;
  qos.wire_protocol().builtin.metatrafficUnicastLocatorList.push_back(here);
  return made(fast::DomainParticipantFactory::get_instance()->create_participant(domain, qos), "participant");
}

class Peer {
 public:
  explicit Peer(int domain)
      : participant_(make_participant(domain)),
        publisher_(made(participant_->create_publisher(fast::PUBLISHER_QOS_DEFAULT), "publisher")),
        subscriber_(made(participant_->create_subscriber(fast::SUBSCRIBER_QOS_DEFAULT), "subscriber")) {}

  template <class Type>
  fast::DataWriter* writer(const std::string& topic) {
    fast::DataWriterQos qos;
    qos.reliability().kind = fast::RELIABLE_RELIABILITY_QOS;
    qos.durability().kind = fast::VOLATILE_DURABILITY_QOS;
    qos.history().kind = fast::KEEP_LAST_HISTORY_QOS;
    qos.history().depth = 4096;
    return made(publisher_->create_datawriter(topic_of<Type>(topic), qos), "writer");
  }

  template <class Type>
  fast::DataReader* reader(const std::string& topic) {
    fast::DataReaderQos qos;
    qos.reliability().kind = fast::RELIABLE_RELIABILITY_QOS;
    qos.history().kind = fast::KEEP_LAST_HISTORY_QOS;
    qos.history().depth = 4096;
    return made(subscriber_->create_datareader(topic_of<Type>(topic), qos), "reader");
  }

 private:
  template <class Type>
  fast::Topic* topic_of(const std::string& name) {
    fast::TypeSupport type(new Type());
    type.register_type(participant_);
    return made(participant_->create_topic("rt" + name, type.get_type_name(), fast::TOPIC_QOS_DEFAULT),
                "topic");
  }

  fast::DomainParticipant* participant_;
  fast::Publisher* publisher_;
  fast::Subscriber* subscriber_;
};

/// Takes what there is; the newest stays in `value`.
template <class T>
int take(fast::DataReader* reader, T& value) {
  int count = 0;
  fast::SampleInfo info;
  T next;
  while (reader->take_next_sample(&next, &info) == eprosima::fastrtps::types::ReturnCode_t::RETCODE_OK)
    if (info.valid_data) {
      value = next;
      ++count;
    }
  return count;
}

void print(const char* name, const std::vector<double>& values) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < values.size(); ++i) std::printf("%s%.17g", i ? ", " : "", values[i]);
  std::printf("]");
}

bool matched(fast::DataWriter* writer) {
  fast::PublicationMatchedStatus status;
  writer->get_publication_matched_status(status);
  return status.current_count >= 2;
}

bool matched(fast::DataReader* reader) {
  fast::SubscriptionMatchedStatus status;
  reader->get_subscription_matched_status(status);
  return status.current_count >= 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int domain = std::atoi(argv[1]);
  const double seconds = std::atof(argv[2]);
  Peer peer(domain);
  auto* states = peer.writer<JointStateType>("/joint_states");
  auto* images = peer.writer<sensor_msgs::msg::dds_::Image_PubSubType>("/camera/image_raw");
  auto* commands = peer.writer<std_msgs::msg::dds_::String_PubSubType>("/command");
  auto* trajectories = peer.reader<TrajectoryType>("/joint_trajectory");
  auto* twists = peer.reader<geometry_msgs::msg::dds_::Twist_PubSubType>("/cmd_vel");
  auto* poses = peer.reader<geometry_msgs::msg::dds_::Pose_PubSubType>("/target_pose");
  auto* joints = peer.reader<JointStateType>("/joint_commands");

  const auto patience = Clock::now() + std::chrono::seconds(20);
  while (!(matched(states) && matched(images) && matched(commands) && matched(trajectories) &&
           matched(twists) && matched(poses) && matched(joints))) {
    if (Clock::now() > patience) {
      std::fprintf(stderr, "nobody is there\n");
      return 1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  Trajectory trajectory;
  JointState command, state;
  geometry_msgs::msg::dds_::Twist_ twist;
  geometry_msgs::msg::dds_::Pose_ pose;
  sensor_msgs::msg::dds_::Image_ image;
  image.height(2), image.width(2), image.step(6), image.encoding("rgb8");
  image.data() = std::vector<std::uint8_t>(12, 7);
  state.name() = {"a", "b", "c"};
  int sent = 0, got[4] = {};
  const int wanted = static_cast<int>(seconds * 1e3);
  const auto begin = Clock::now();
  for (; sent < wanted; ++sent) {
    std::this_thread::sleep_until(begin + std::chrono::milliseconds(sent));
    if (sent % 250 == 0) {
      std_msgs::msg::dds_::String_ text;  // from grasping to placing to driving
      text.data(3 * sent < wanted ? "grasp it" : 3 * sent < 2 * wanted ? "place it" : "go on");
      commands->write(&text);
    }
    if (sent % 50 == 0) images->write(&image);
    state.position() = {sent * 1e-6, 0.0, 0.0};
    states->write(&state);
    got[0] += take(trajectories, trajectory);
    got[1] += take(twists, twist);
    got[2] += take(poses, pose);
    got[3] += take(joints, command);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  got[0] += take(trajectories, trajectory);
  std::printf("{\"sent\": %d, \"trajectories\": %d, \"twists\": %d, \"poses\": %d, \"joint_commands\": %d, ",
              sent, got[0], got[1], got[2], got[3]);
  const auto& points = trajectory.points();
  if (points.empty()) return 1;
  print("positions", points.back().positions());
  std::printf(", ");
  print("accelerations", points.front().accelerations());
  const auto& last = points.back().time_from_start();
  std::printf(", \"time_from_start\": %.9f, \"joint\": \"%s\", \"stamp\": %d, ",
              last.sec() + 1e-9 * last.nanosec(), trajectory.joint_names().back().c_str(),
              trajectory.header().stamp().sec());
  print("twist", {twist.linear().x(), twist.angular().z()});
  std::printf(", ");
  print("pose", {pose.position().x(), pose.orientation().z(), pose.orientation().w()});
  std::printf(", ");
  print("command", command.position());
  std::printf("}\n");
}
