# One image for every node of a lab: tracker, peer and their console, nothing but Python's standard library,
# and the tools that set a link's rate and faults from outside.
#
#   docker build --build-arg BASE_IMAGE="$(scripts/base-image.sh)" -t torrentnet-node .
#
# Layers that change seldom come first: after a change of the sources only the last two are made again.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS system
USER root
# The base that scripts/base-image.sh makes from Debian packages has the tools, the official image lacks them. It also
# lacks the standard library's .pyc files, which a read-only container would compile anew at each start.
RUN set -eu; \
    if ! command -v tc || ! command -v iptables || ! command -v ethtool; then \
        apt-get update -q; \
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends iproute2 iptables ethtool; \
        rm -rf /var/lib/apt/lists/*; \
    fi >/dev/null; \
    library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))'); \
    if ! ls "$library"/asyncio/__pycache__/*.pyc >/dev/null 2>&1; then \
        python3 -m compileall -q -j 0 -x '/(test|tests|site-packages|idlelib|lib2to3|turtledemo|ensurepip)/' "$library"; \
    fi; \
    groupadd --gid 10001 torrent; \
    useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin torrent; \
    install -d -o torrent -g torrent -m 0755 /data /files; \
    install -d -m 1777 /run/torrentnet; \
    for name in tracker.py peer.py console request file_logs observe; do \
        ln -s /opt/torrentnet/bin/launch "/usr/local/bin/$name"; \
    done
# Where the kernel has no nf_tables, iptables-legacy needs a lock file, and the root is read-only.
# A safe path, because nodes work in a directory whose files are named by others: /data/json.py is no module.
ENV LANG=C.UTF-8 \
    PYTHONPATH=/opt/torrentnet \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XTABLES_LOCKFILE=/run/torrentnet/xtables.lock
WORKDIR /data
CMD ["tracker.py", "--help"]

FROM system AS program
COPY --chmod=755 docker/launch /opt/torrentnet/bin/launch
# `docker compose exec tracker peers`: each command of a console is one here too.
RUN for name in peers status help; do ln -s launch "/opt/torrentnet/bin/$name"; done
COPY tracker.py peer.py /opt/torrentnet/
# .dockerignore leaves the lab out.
COPY torrentnet /opt/torrentnet/torrentnet
# Nothing writes below a read-only root, so that .pyc files need no look at their source's time.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/torrentnet && chmod -R a+rX /opt/torrentnet

# Other people's clients and tracker, for nodes with `client:` or `program:`: docker build --target clients.
# A service is what none of them is to be: the packages' own start scripts are kept from running.
FROM system AS clients-system
RUN set -eu; { \
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
        apt-get update -q; \
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
            aria2 transmission-daemon python3-libtorrent opentracker rtorrent qbittorrent-nox deluged lftp; \
        rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d; \
    } >/dev/null; \
    /usr/bin/python3 -c 'import libtorrent, rencode'; \
    for name in aria2c transmission-daemon opentracker rtorrent qbittorrent-nox deluged lftp; do command -v "$name"; done
RUN ln -s /opt/torrentnet/bin/launch /usr/local/bin/client

FROM clients-system AS clients
LABEL org.torrentnet.image=clients
COPY --from=program /opt/torrentnet /opt/torrentnet
ENV PATH=/opt/torrentnet/bin:$PATH
USER 10001:10001

# What makes any image a node's: our programs with a Python, a loader and libraries of their own, in one directory.
FROM program AS runtime-files
COPY docker/relocate.py /tmp/relocate.py
RUN python3 /tmp/relocate.py /torrentnet

FROM scratch AS runtime
LABEL org.torrentnet.image=runtime
COPY --from=runtime-files /torrentnet /torrentnet
# There is nothing else in this image: what works here works everywhere.
RUN ["/torrentnet/sbin/python3", "-ISB", "-c", "import hashlib, pty, selectors, sqlite3, torrentnet.console.program_shell"]
RUN ["/torrentnet/sbin/sh", "-c", "export PATH=/torrentnet/sbin; ip -V && tc -V && ethtool --version && iptables --version"]

FROM system AS node
LABEL org.torrentnet.image=node
COPY --from=program /opt/torrentnet /opt/torrentnet
ENV PATH=/opt/torrentnet/bin:$PATH
USER 10001:10001
