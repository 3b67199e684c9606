"""The Lightning of it: what turns a policy and a mixture into a finished run."""
