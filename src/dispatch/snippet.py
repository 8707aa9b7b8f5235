# Waits until `progression-boost dispatch serve` says that CPU and VRAM have room.
# Paste it after the source is loaded and before anything takes VRAM. The open
# connection is this worker's ticket; it closes when the script ends.
def _wait_for_room(port, without_server, limit):
    import socket
    import sys
    import time

    class OutOfTime(Exception):
        pass

    started = time.monotonic()

    def warn(text):
        print("dispatch: 127.0.0.1:%d: %s" % (port, text), file=sys.stderr, flush=True)

    def time_left(most):
        if limit is None:
            return most
        left = started + limit - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left if most is None else min(left, most)

    def read_word(connection, seconds):
        line = b""
        while not line.endswith(b"\n"):
            connection.settimeout(time_left(seconds))
            byte = connection.recv(1)
            if not byte or len(line) > 128:
                raise ConnectionError("the connection was closed")
            line += byte
        return line.split(b" ")[0].strip()

    lost = started  # when the server was there for the last time
    patience = 0.0  # how long one that is missing may take to come back
    warned = False
    connection = None
    try:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), time_left(5.0))
                connection.sendall(b"wait\n")
                word = read_word(connection, 10.0)
                if word not in (b"queued", b"busy"):
                    raise ConnectionError("something else answers there")
                patience = 20.0
                try:
                    if word == b"queued" and read_word(connection, None) == b"go":
                        connection.settimeout(None)
                        return connection
                finally:
                    lost = time.monotonic()
            except OSError as error:
                time_left(None)
                if without_server == "continue" and time.monotonic() - lost >= patience:
                    warn("no dispatch server (%s), going on without" % error)
                    return None
                if not warned:
                    warned = True
                    warn("no dispatch server (%s), waiting for it" % error)
            if connection is not None:
                connection.close()
            time.sleep(time_left(0.5))
    except OutOfTime:
        warn("no room within %g s, going on without" % limit)
        return None
