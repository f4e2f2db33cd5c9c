"""TLS towards clients, judged by scanners: sslyze with Mozilla's intermediate profile, and testssl.sh."""

import json
import os
import subprocess
import sys

import pytest

import harness
import sealed

# What a scanner says of a certificate whose CA is private and whose name is not in the DNS.
PRIVATE_CA = {"cert_revocation", "DNS_CAArecord", "cert_trust", "cert_chain_of_trust", "cert_crlDistributionPoints",
              "cert_ocspURL", "certificate_transparency"}

# Its check of resumption ends its first connection without waiting for a ticket, which in TLS 1.3 comes after the
# handshake; it then says that the second could not connect. test_tls_life.py looks at resumption.
HASTY = ("WARN", "sessionresumption_ticket")
# Where Debian's GOST engine is not installed, it says so of its own openssl.
WITHOUT_GOST = ("WARN", "engine_problem")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A gateway whose certificates live 90 days, as those of a public CA do, and the folder they are in."""
    directory = tmp_path_factory.mktemp("scan")
    folder = directory / "certificates"
    subprocess.run([str(sealed.CERTIFICATES / "make"), str(folder), "90"], check=True, timeout=60)
    settings = sealed.listener(
        **sealed.pair("localhost-ecdsa", folder), ocsp_response=str(folder / "localhost-ecdsa.ocsp"),
        certificates=[sealed.pair("localhost-rsa", folder)])
    with harness.Simulator(directory) as simulator:
        with sealed.run_gatehouse(directory, simulator, settings) as running:
            yield running, folder


def test_sslyze_finds_mozillas_intermediate_profile(scanned, tmp_path, figures):
    gatehouse, folder = scanned
    report = tmp_path / "sslyze.json"
    done = subprocess.run(
        [sys.executable, "-m", "sslyze", "--mozilla_config=intermediate", "--early_data", "--certinfo_ca_file",
         str(folder / "ca.crt"), "--sni", "localhost", "--json_out", str(report),
         f"{harness.LOOPBACK}:{gatehouse.port}"],
        capture_output=True, text=True, timeout=120)
    assert "OK - Compliant" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.returncode == 0
    result = json.loads(report.read_text())["server_scan_results"][0]
    assert result["scan_status"] == "COMPLETED"
    scans = {name: scan["result"] for name, scan in result["scan_result"].items() if scan.get("result")}

    groups = {curve["name"] for curve in scans["elliptic_curves"]["supported_curves"]}
    assert groups == {"X25519", "secp256r1", "secp384r1"}
    accepted = {
        version: sorted(
            suite["cipher_suite"]["name"] for suite in scans[f"{version}_cipher_suites"]["accepted_cipher_suites"])
        for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")}
    assert all(not accepted[version] for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"))
    assert accepted["tls_1_2"] == sorted(
        f"TLS_ECDHE_{kind}_WITH_{cipher}" for kind in ("ECDSA", "RSA")
        for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"))
    assert accepted["tls_1_3"] == ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    assert not scans["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not scans["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert not scans["tls_compression"]["supports_compression"]
    assert not scans["tls_1_3_early_data"]["supports_early_data"]
    assert not scans["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert scans["session_renegotiation"]["supports_secure_renegotiation"]
    assert scans["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert scans["tls_extended_master_secret"]["supports_ems_extension"]
    kinds = {
        deployment["received_certificate_chain"][0]["public_key"]["algorithm"]
        for deployment in scans["certificate_info"]["certificate_deployments"]}
    assert len(kinds) == 2, kinds
    figures.note(f"sslyze: compliant; {sum(map(len, accepted.values()))} suites, {len(groups)} groups")


def test_testssl_finds_at_most_one_low_and_one_medium(scanned, tmp_path, figures):
    gatehouse, folder = scanned
    program = harness.find_program("testssl")
    assert program, "testssl.sh is missing: install Debian's testssl.sh"
    report = tmp_path / "testssl.json"
    done = subprocess.run(
        [program, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", str(folder / "ca.crt"), "--jsonfile",
         str(report), "--ip", harness.LOOPBACK, "--protocols", "--standard", "--fs", "--server-defaults",
         "--server-preference", "--vulnerable", f"localhost:{gatehouse.port}"],
        capture_output=True, text=True, timeout=230, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"})
    findings = json.loads(report.read_text())
    checked = {finding["id"].split(" ")[0] for finding in findings}
    # It gives up early when it cannot connect: what matters was looked at.
    needed = {"TLS1_2", "TLS1_3", "cipherlist_STRONG", "PFS", "heartbleed", "ROBOT", "LUCKY13", "cert_chain_of_trust"}
    assert needed <= checked, (needed - checked, done.stdout[-2000:])
    bad = [
        finding for finding in findings
        if finding["severity"] not in ("OK", "INFO") and finding["id"].split(" ")[0] not in PRIVATE_CA
        and (finding["severity"], finding["id"]) not in (HASTY, WITHOUT_GOST)]
    by_severity = {}
    for finding in bad:
        by_severity.setdefault(finding["severity"], []).append((finding["id"], finding["finding"]))
    figures.note(f"testssl.sh: {len(findings)} findings, besides those of a private CA: {by_severity or 'none'}")
    assert by_severity.keys() <= {"LOW", "MEDIUM"}, by_severity
    assert len(by_severity.get("LOW", [])) <= 1 and len(by_severity.get("MEDIUM", [])) <= 1, by_severity
