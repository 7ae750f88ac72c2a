"""What a request ends in when it fails: exceptions, what each means to a client, and the problem that is sent."""
