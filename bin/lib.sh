# Shared by the scripts beside it; sourced, runs inside bin/with-env.

answers() { python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1" 2>/dev/null; }

# free_port N: N, or the next port that nobody listens on.
free_port() {
    python - "$1" <<'PY'
import socket, sys
for port in range(int(sys.argv[1]), int(sys.argv[1]) + 50):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            print(port)
            break
else:
    sys.exit("moviegen-edit: no free port")
PY
}

# serve NAME PORT HEALTH_PATH COMMAND...: start a server of ours unless it runs, wait for it, print its address.
# In the command, PORT stands for the port.
serve() {
    local name=$1 port=$2 health=$3 address
    shift 3
    if python bin/daemon.py alive "$name" && [ -f ".prefect/daemons/$name.url" ]; then
        address=$(cat ".prefect/daemons/$name.url")
    else
        port=$(free_port "$port")
        address=http://127.0.0.1:$port
        mkdir -p .prefect/daemons
        echo "$address" >".prefect/daemons/$name.url"
        python bin/daemon.py start "$name" "${@//PORT/$port}"
    fi
    for _ in $(seq 240); do
        ! answers "$address$health" || { echo "$address"; return; }
        python bin/daemon.py alive "$name" || break
        sleep 0.5
    done
    echo "moviegen-edit: the $name server did not start; see .prefect/daemons/$name.log" >&2
    return 1
}
