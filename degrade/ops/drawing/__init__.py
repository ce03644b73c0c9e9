"""What drawing, printing and editing leave in a picture."""
