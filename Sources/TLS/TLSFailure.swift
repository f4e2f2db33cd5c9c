internal import COpenSSL

/// Why a connection failed, one of a closed list, for logs and metrics.
public enum TLSFailure: UInt8, Sendable, Equatable, CaseIterable {
    case none
    /// The handshake failed in some other way than those below.
    case handshake
    case protocolVersion
    case noSharedSuite
    case noSharedProtocol
    /// The peer was asked for a certificate and sent none.
    case certificateMissing
    /// Its issuer is not trusted.
    case certificateUntrusted
    case certificateExpired
    case certificateNotValidYet
    case certificateRevoked
    /// It is for another host.
    case certificateMismatch
    /// It is bad in some other way: signature, purpose, chain.
    case certificateInvalid
    /// Bytes that are not TLS, or messages out of order.
    case malformed
    /// A record that does not authenticate.
    case recordInvalid
    /// The peer ended it with an alert; `TLSConnection.alert` says which.
    case refusedByPeer
    /// More key updates or other messages without content than anyone needs.
    case excess
    case memory

    /// The word of logs and metrics.
    public var word: StaticString {
        switch self {
        case .none: "none"
        case .handshake: "handshake"
        case .protocolVersion: "protocol_version"
        case .noSharedSuite: "no_shared_suite"
        case .noSharedProtocol: "no_shared_protocol"
        case .certificateMissing: "certificate_missing"
        case .certificateUntrusted: "certificate_untrusted"
        case .certificateExpired: "certificate_expired"
        case .certificateNotValidYet: "certificate_not_valid_yet"
        case .certificateRevoked: "certificate_revoked"
        case .certificateMismatch: "certificate_mismatch"
        case .certificateInvalid: "certificate_invalid"
        case .malformed: "malformed"
        case .recordInvalid: "record_invalid"
        case .refusedByPeer: "refused_by_peer"
        case .excess: "excess"
        case .memory: "memory"
        }
    }

    /// What OpenSSL's first error means; a peer's alert is a reason from 1,000 on.
    static func reading(_ reason: Int32, verification: Int) -> TLSFailure {
        switch reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED: certificate(Int32(truncatingIfNeeded: verification))
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: .certificateMissing
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_UNKNOWN_PROTOCOL,
            SSL_R_INAPPROPRIATE_FALLBACK:
            .protocolVersion
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_NO_CIPHERS_AVAILABLE:
            .noSharedSuite
        case SSL_R_NO_APPLICATION_PROTOCOL: .noSharedProtocol
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED: .recordInvalid
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_UNEXPECTED_MESSAGE, SSL_R_LENGTH_MISMATCH,
            SSL_R_BAD_LENGTH, SSL_R_BAD_PACKET, SSL_R_BAD_RECORD_TYPE, SSL_R_UNEXPECTED_RECORD,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_DATA_LENGTH_TOO_LONG,
            SSL_R_EXCESSIVE_MESSAGE_SIZE, SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_RECORD_TOO_SMALL,
            SSL_R_CCS_RECEIVED_EARLY, SSL_R_INVALID_CCS_MESSAGE, SSL_R_BAD_EXTENSION,
            SSL_R_LENGTH_TOO_SHORT, SSL_R_BAD_CHANGE_CIPHER_SPEC:
            .malformed
        case 1_000...1_255: .refusedByPeer
        case Int32(ERR_R_MALLOC_FAILURE): .memory
        default: .handshake
        }
    }

    private static func certificate(_ verification: Int32) -> TLSFailure {
        switch verification {
        case X509_V_ERR_CERT_HAS_EXPIRED: .certificateExpired
        case X509_V_ERR_CERT_NOT_YET_VALID: .certificateNotValidYet
        case X509_V_ERR_CERT_REVOKED: .certificateRevoked
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: .certificateMismatch
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED:
            .certificateUntrusted
        default: .certificateInvalid
        }
    }
}
