"""The machine at hand: embedded Postgres, setup, services, demo, samples, mirror."""
