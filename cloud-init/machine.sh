# Run by root's shell on a machine that somebody owns; what it says is the machine's log. The lines that are
# added below call these functions, with quoted data as arguments: nothing here is put together from what people chose.
set -eu
umask 022
state=/var/lib/kubeception
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

trap '' HUP
mkdir -p -m 700 "$state"

end() {
    echo "$1"
    echo "$1" >"$state/result"
    exit "$2"
}

# begin NODE: this machine is to be the node of this name, and is no other's.
begin() {
    rm -f "$state/result"
    trap 'code=$?; [ -e "$state/result" ] || echo "ended with $code" >"$state/result"' EXIT
    owner=$(cat "$state/machine" 2>/dev/null || echo "$1")
    [ "$owner" = "$1" ] || end "it is node $owner already" 1
    missing=
    for program in base64 containerd kubeadm kubelet nft; do
        command -v "$program" >/dev/null || missing="$missing $program"
    done
    [ -z "$missing" ] || end "not installed:$missing" 1
    echo "$1" >"$state/machine"
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

# file PATH MODE CONTENT: a file, its content in base64.
file() {
    mkdir -p "$(dirname "$1")"
    rm -f "$1"
    (umask 077 && printf %s "$3" | base64 -d >"$1")
    chmod "$2" "$1"
    echo "$1" >>"$state/files"
}

# endpoint: what is dialled at the address the API server has inside its host goes to the one it has outside.
endpoint() {
    nft -f /etc/kubeception/endpoint.nft
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl enable kubeception-endpoint.service
    fi
}

# cgroups: a kubelet refuses version 1 unless it is told not to.
cgroups() {
    [ -e /sys/fs/cgroup/cgroup.controllers ] || echo '{"failCgroupV1": false}' >"$1"
}

# network: pods get addresses of the range that flannel has for this node, unless somebody else sees to that.
network() {
    mkdir -p /etc/cni/net.d
    ls /etc/cni/net.d | grep -q conf && return
    (
        while [ ! -s /run/flannel/subnet.env ]; do sleep 1; done
        . /run/flannel/subnet.env
        network=/etc/cni/net.d/10-kubeception.conflist
        sed -e "s#SUBNET#$FLANNEL_SUBNET#" -e "s#MTU#$FLANNEL_MTU#" /etc/kubeception/pods.conflist >$network.new
        mv $network.new $network
        echo "pods get addresses of $FLANNEL_SUBNET"
    ) >>"$state/log" 2>&1 &
}

# kubelet: without systemd nobody else keeps it running.
keep_kubelet() {
    [ ! -d /run/systemd/system ] || return 0
    (
        sh -c 'echo $PPID' >"$state/keeper.pid"
        child=
        trap 'kill $child; exit 0' TERM
        set +e -f
        while :; do
            if [ -s /var/lib/kubelet/config.yaml ] && [ -s /var/lib/kubelet/kubeadm-flags.env ]; then
                . /var/lib/kubelet/kubeadm-flags.env
                kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
                    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \
                    $KUBELET_KUBEADM_ARGS >>"$state/kubelet.log" 2>&1 &
                child=$!
                wait $child
            fi
            sleep 1
        done
    ) >>"$state/log" 2>&1 &
}

# attempt PROGRAM ARGUMENTS: again and again until it goes well, as long as that can make a difference.
attempt() {
    count=0
    until "$@"; do
        count=$((count + 1))
        [ $count -lt 20 ] || end "$1 does not succeed" 1
        sleep 3
    done
}

# once PROGRAM ARGUMENTS: whatever becomes of it.
once() {
    "$@" || echo "$1 ended with $?"
}
