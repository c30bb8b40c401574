"""Preflight checks of packages, device, memory and disks, before anything is paid for."""
