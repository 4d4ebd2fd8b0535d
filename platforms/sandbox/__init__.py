"""A stand-in for every platform: it speaks their wires, keeps no database, and fails on demand."""
