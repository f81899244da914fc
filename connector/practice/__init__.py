"""The practice agent, simulated speakers, the demo, its verification and report."""
