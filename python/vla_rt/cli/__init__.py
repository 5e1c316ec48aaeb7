"""The command `vla-rt`: one module per subcommand, imported only when that subcommand runs."""
