"""What a real Nova answers to a request, and what Gatehouse in front of it answers to the same one."""
