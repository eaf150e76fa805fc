"""What Keycloak and its Java are told on the command line."""

from __future__ import annotations

from pathlib import Path

from warminfra.core.reach import LOOPBACK, Reach

TLS = "tls"
"""Folder of a server's certificate and key, in its data."""

BUILD = ("--db=dev-file", "--health-enabled=true", "--metrics-enabled=true")

DATABASE = (
    "jdbc:h2:file:~/h2/keycloakdb"
    ";NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE;WRITE_DELAY=0;TRACE_LEVEL_FILE=0"
)
"""`~` is Java's `user.home`, which we set to the data folder: the server tells the admin of any
realm the URL of its database (keycloak#51139), which must not be a path of the host. The first two
options are Keycloak's own defaults for H2, which a full URL replaces. `AUTO_SERVER`, the third,
would open a port. Without `WRITE_DELAY=0` a kill loses commits that were acknowledged; the
trace file would hold failed statements with their values."""

JVM = (
    "-XX:MetaspaceSize=96M",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dstderr.encoding=UTF-8",
    "-Djava.security.egd=file:/dev/urandom",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "-Duser.language=en",
    "-Duser.country=US",
    "-Dkc.config.built=true",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory="
    "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "-Dpicocli.disable.closures=true",
    "-Dquarkus-log-max-startup-records=10000",
)
"""What `bin/kc.sh` passes. It is not used itself, since it stays the server's parent."""

LONG_LIVED = ("-XX:+UseG1GC",)
SHORT_LIVED = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # BouncyCastle tests of each RSA key that is read whether its modulus is prime; ours are not.
    "-Dorg.bouncycastle.rsa.max_mr_tests=0",
)
"""Ready in two thirds of the time and smaller; slower under load, which one lease does not make."""

START = (
    "--optimized",
    # The default, `ispn`, waits 20 s at a start for each member that was killed before it.
    "--cache=local",
    # It also bounds, doubled, the revisions of what was ever cached, which outlive a realm: 100 to
    # 230 of each tenant. The default, 10,000, is full of the dead after some 210 tenants; then what
    # lives is read from the database again (a client's update takes 19 instead of 9 ms).
    "--cache-embedded-realms-max-count=200000",
    # It reads every changelog again to warn of indexes that somebody removed by hand.
    "--spi-connections-jpa--quarkus--check-missing-indexes=false",
    f"--http-management-host={LOOPBACK}",
    "--http-management-scheme=http",
    "--log=console",
    "--log-console-color=false",
    # Health is asked for many times a second during a start; each "not yet" would be a line.
    "--log-level=info,io.smallrye.health:warn",
)

NO_OUTGOING = (
    # Every call of the server's own HTTP client is sent to a proxy that is not there.
    "--spi-connections-http-client--default--proxy-mappings=.*;http://127.0.0.1:9",
)


def listening(reach: Reach, port: int, data: Path) -> tuple[str, ...]:
    """Return the options of the server's own port; plain HTTP is off where it speaks TLS."""
    named = (f"--http-host={reach.address}", f"--hostname={reach.public_url(port)}")
    if reach.certificates is None:
        plain = (*named, "--http-enabled=true", f"--http-port={port}")
        if not reach.front:
            return plain
        trusted = ",".join(reach.proxies)
        return (
            *plain,
            f"--proxy-headers={reach.proxy_headers}",
            f"--proxy-trusted-addresses={trusted}",
        )
    pair = reach.certificates.issue(data / TLS)
    return (
        *named,
        "--http-enabled=false",
        f"--https-port={port}",
        f"--https-certificate-file={pair.certificate}",
        f"--https-certificate-key-file={pair.key}",
    )
