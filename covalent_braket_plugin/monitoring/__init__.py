"""What can be seen of jobs while they run: logs, and what is told there of metrics and status.

`lines` reads what a log's lines say, `logs` fetches them, `board` holds what is known of each
electron of this server.
"""
