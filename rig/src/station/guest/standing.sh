# What the virtual station does while it is up: a shell on its second serial line, and whatever is put into ask/ of its share.
# NAME.sh is run; NAME.out is what it says, NAME.status how it ended; NAME.kill ends it; `off` ends everything.
mkdir -p "$RESULTS/ask"
while :; do
    # A session of its own, for which the line is the terminal.
    setsid -c env TERM=linux bash -i </dev/ttyS1 >/dev/ttyS1 2>&1
    printf '\033]bandrig;bye\a' >/dev/ttyS1
    busybox sleep 0.2
done &
touch "$RESULTS/ready"
until [ -e "$RESULTS/ask/off" ]; do
    for ask in "$RESULTS"/ask/*.sh; do
        [ -e "$ask" ] || continue
        name=${ask%.sh}
        mv "$ask" "$name.run"
        (
            setsid bash "$name.run" </dev/null >"$name.out" 2>&1 &
            echo $! >"$name.pid"
            wait $!
            echo $? >"$name.ended"
            mv "$name.ended" "$name.status"
        ) &
    done
    for ask in "$RESULTS"/ask/*.kill; do
        # What has only just begun has no number yet: the next look finds it.
        [ -s "${ask%.kill}.pid" ] || continue
        rm "$ask"
        read -r pid <"${ask%.kill}.pid" && kill -- "-$pid"
    done 2>/dev/null
    busybox usleep 100000
done
exit 0
