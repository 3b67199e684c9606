"""Whether predicted motion follows the instruction (sections 3, 5.7 and 9 of the paper)."""
