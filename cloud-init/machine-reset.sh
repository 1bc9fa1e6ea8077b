# Run by root's shell on a machine that was set up by us: it is no node any more, and nothing of us is left.
state=/var/lib/kubeception
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# reset NODE: unless it is another one by now.
reset() {
    [ "$(cat "$state/machine")" = "$1" ] || return 0
    [ ! -e "$state/keeper.pid" ] || kill "$(cat "$state/keeper.pid")"
    kubeadm reset --force
    if [ -d /run/systemd/system ]; then
        systemctl disable --now kubelet.service
        systemctl disable kubeception-endpoint.service
    fi
    nft delete table ip kubeception
    ip link delete flannel.1
    while read -r file; do rm -f "$file"; done <"$state/files"
    rm -rf /run/flannel /etc/cni/net.d/10-kubeception.conflist /etc/kubernetes/patches /etc/kubeception "$state"
}
