#ifndef GATEHOUSE_COPENSSL_WIRE_H
#define GATEHOUSE_COPENSSL_WIRE_H

// timegm() is not in ISO C.
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

// What one connection lends to OpenSSL for the length of a call: ciphertext that came, and room for what is to be sent.
// The library reads and writes there directly, so that neither side goes through a queue of a BIO's own.
typedef struct {
    const unsigned char *input;
    size_t inputByteCount;
    unsigned char *output;
    size_t outputRoom;
    size_t outputByteCount;
    // Handshake messages that came after the handshake, key updates and tickets, and how many there may be.
    size_t lateMessageCount;
    size_t lateMessageLimit;
    // Whether lateMessageCount counts yet.
    int isEstablished;
} COpenSSL_wire;

static inline int COpenSSL_wire_read(BIO *bio, char *place, size_t count, size_t *readCount) {
    COpenSSL_wire *wire = (COpenSSL_wire *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->inputByteCount == 0) {
        *readCount = 0;
        BIO_set_retry_read(bio);
        return 0;
    }
    if (count > wire->inputByteCount) count = wire->inputByteCount;
    memcpy(place, wire->input, count);
    wire->input += count;
    wire->inputByteCount -= count;
    *readCount = count;
    return 1;
}

static inline int COpenSSL_wire_write(BIO *bio, const char *bytes, size_t count, size_t *writtenCount) {
    COpenSSL_wire *wire = (COpenSSL_wire *)BIO_get_data(bio);
    size_t room = wire->outputRoom - wire->outputByteCount;
    BIO_clear_retry_flags(bio);
    if (room == 0) {
        *writtenCount = 0;
        BIO_set_retry_write(bio);
        return 0;
    }
    if (count > room) count = room;
    memcpy(wire->output + wire->outputByteCount, bytes, count);
    wire->outputByteCount += count;
    *writtenCount = count;
    return 1;
}

static inline long COpenSSL_wire_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Makes the method of such BIOs, once for the whole program; NULL when memory is short.
static inline BIO_METHOD *COpenSSL_wire_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    if (method == NULL) return NULL;
    BIO_meth_set_read_ex(method, COpenSSL_wire_read);
    BIO_meth_set_write_ex(method, COpenSSL_wire_write);
    BIO_meth_set_ctrl(method, COpenSSL_wire_control);
    return method;
}

// Joins a new SSL to its wire, which must outlive it; answers 0 when memory is short.
static inline int COpenSSL_wire_attach(SSL *ssl, COpenSSL_wire *wire, const BIO_METHOD *method) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 1;
}

// Counts what a peer sends besides content once the handshake is over: OpenSSL itself takes any number of them. Beyond the
// limit it is given nothing more to read.
static inline void COpenSSL_wire_message(
    int isWrite, int version, int contentType, const void *bytes, size_t count, SSL *ssl, void *argument) {
    (void)version;
    (void)bytes;
    (void)count;
    (void)argument;
    if (isWrite || contentType != SSL3_RT_HANDSHAKE) return;
    COpenSSL_wire *wire = (COpenSSL_wire *)BIO_get_data(SSL_get_rbio(ssl));
    if (wire->isEstablished && ++wire->lateMessageCount > wire->lateMessageLimit) wire->inputByteCount = 0;
}

static inline void COpenSSL_wire_watch(SSL_CTX *context) {
    SSL_CTX_set_msg_callback(context, COpenSSL_wire_message);
}

// SSL_get_error looks at the thread's error queue, which an earlier call on another connection may have filled.
static inline void COpenSSL_clear_errors(void) {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

// The following answer 1 (or a count above 0), or an SSL_ERROR_… negated.

static inline int COpenSSL_handshake(SSL *ssl) {
    COpenSSL_clear_errors();
    int result = SSL_do_handshake(ssl);
    return result == 1 ? 1 : -SSL_get_error(ssl, result);
}

static inline int COpenSSL_read(SSL *ssl, void *place, int count) {
    COpenSSL_clear_errors();
    int result = SSL_read(ssl, place, count);
    return result > 0 ? result : -SSL_get_error(ssl, result);
}

static inline int COpenSSL_write(SSL *ssl, const void *bytes, int count) {
    COpenSSL_clear_errors();
    int result = SSL_write(ssl, bytes, count);
    return result > 0 ? result : -SSL_get_error(ssl, result);
}

// 0 is also good: our close_notify went out and the peer's has not come.
static inline int COpenSSL_shutdown(SSL *ssl) {
    COpenSSL_clear_errors();
    int result = SSL_shutdown(ssl);
    return result >= 0 ? 1 : -SSL_get_error(ssl, result);
}

// Macros of the library, which Swift does not see.

static inline int COpenSSL_set_versions(SSL_CTX *context, int least) {
    return SSL_CTX_set_min_proto_version(context, least) == 1
        && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}

static inline void COpenSSL_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }

static inline void COpenSSL_set_cache_mode(SSL_CTX *context, long mode) {
    SSL_CTX_set_session_cache_mode(context, mode);
}

static inline int COpenSSL_set_groups(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_groups_list(context, list) == 1;
}

static inline int COpenSSL_set_signature_algorithms(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_sigalgs_list(context, list) == 1;
}

static inline int COpenSSL_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

static inline void COpenSSL_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *), void *argument) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
    SSL_CTX_set_tlsext_status_arg(context, argument);
}

static inline void COpenSSL_set_server_name_callback(
    SSL_CTX *context, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}

static inline void COpenSSL_set_ticket_callback(
    SSL_CTX *context,
    int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}

static inline void COpenSSL_set_context_argument(SSL_CTX *context, void *argument) {
    SSL_CTX_set_app_data(context, argument);
}

static inline void *COpenSSL_context_argument(SSL *ssl) { return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)); }

static inline void COpenSSL_set_argument(SSL *ssl, void *argument) { SSL_set_app_data(ssl, argument); }

static inline void *COpenSSL_argument(SSL *ssl) { return SSL_get_app_data(ssl); }

// Hands OpenSSL a copy of the OCSP response, which the handshake owns from then on.
static inline int COpenSSL_staple(SSL *ssl, const void *bytes, size_t count) {
    void *copy = OPENSSL_memdup(bytes, count);
    if (copy == NULL) return 0;
    if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)count) == 1) return 1;
    OPENSSL_free(copy);
    return 0;
}

static inline int COpenSSL_max_fragment_length(SSL *ssl) {
    const SSL_SESSION *session = SSL_get_session(ssl);
    if (session == NULL) return 0;
    unsigned char code = SSL_SESSION_get_max_fragment_length(session);
    return code == TLSEXT_max_fragment_length_DISABLED ? 0 : 256 << code;
}

static inline int COpenSSL_use_certificate(SSL_CTX *context, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) *chain) {
    return SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1;
}

static inline STACK_OF(X509) *COpenSSL_new_chain(void) { return sk_X509_new_null(); }

static inline int COpenSSL_push(STACK_OF(X509) *chain, X509 *certificate) {
    return sk_X509_push(chain, certificate) > 0;
}

static inline void COpenSSL_free_chain(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }

// Calls `body` with each DNS name that the certificate is for: its alternative names, or the common name without any.
static inline void COpenSSL_each_name(
    X509 *certificate, void *argument, void (*body)(void *argument, const char *name, int count)) {
    GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int index;
    if (names == NULL) {
        char name[256];
        int count = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
        if (count > 0) body(argument, name, count);
        return;
    }
    for (index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        if (name->type != GEN_DNS) continue;
        body(argument, (const char *)ASN1_STRING_get0_data(name->d.dNSName), ASN1_STRING_length(name->d.dNSName));
    }
    GENERAL_NAMES_free(names);
}

// Reads an OCSP response in DER form. Answers 0 and when it expires (0: never), or why it is not usable:
// 1 not an OCSP response, 2 its responder could not answer, 3 for another certificate, 4 says other than good.
static inline int COpenSSL_read_ocsp(const unsigned char *bytes, long count, X509 *leaf, long long *expiresAt) {
    const unsigned char *place = bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &place, count);
    OCSP_BASICRESP *basic = NULL;
    int index, answer = 1;
    *expiresAt = 0;
    if (response == NULL) return 1;
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        answer = 2;
    } else if ((basic = OCSP_response_get1_basic(response)) != NULL) {
        answer = 3;
        for (index = 0; index < OCSP_resp_count(basic); index++) {
            OCSP_SINGLERESP *single = OCSP_resp_get0(basic, index);
            ASN1_INTEGER *serial = NULL;
            ASN1_GENERALIZEDTIME *next = NULL;
            struct tm parts;
            int reason;
            OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
            if (serial == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0) continue;
            if (OCSP_single_get0_status(single, &reason, NULL, NULL, &next) != V_OCSP_CERTSTATUS_GOOD) {
                answer = 4;
                break;
            }
            answer = 0;
            if (next != NULL && ASN1_TIME_to_tm(next, &parts) == 1) *expiresAt = (long long)timegm(&parts);
            break;
        }
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return answer;
}

// Writes a date as YYYY-MM-DD, 11 bytes with the closing zero.
static inline int COpenSSL_date(const ASN1_TIME *time, void *text) {
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 && strftime((char *)text, 11, "%Y-%m-%d", &parts) == 10;
}

static inline int COpenSSL_reason(unsigned long code) { return ERR_GET_REASON(code); }

static inline int COpenSSL_set_ticket_authentication(EVP_MAC_CTX *authentication, void *key, size_t count) {
    OSSL_PARAM parameters[3];
    parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, count);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    parameters[2] = OSSL_PARAM_construct_end();
    return EVP_MAC_CTX_set_params(authentication, parameters) == 1;
}

static const uint64_t COpenSSL_option_no_compression = SSL_OP_NO_COMPRESSION;
static const uint64_t COpenSSL_option_no_renegotiation = SSL_OP_NO_RENEGOTIATION;
static const uint64_t COpenSSL_option_no_ticket = SSL_OP_NO_TICKET;
static const uint64_t COpenSSL_option_order = SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
// The bytes to be written may have moved when a write is tried again: they are the same bytes.
static const long COpenSSL_mode_connection =
    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN;

static const unsigned long COpenSSL_name_form = XN_FLAG_RFC2253;

// Lends the bytes that were written to a memory BIO.
static inline long COpenSSL_memory(BIO *bio, const unsigned char **bytes) {
    char *place = NULL;
    long count = BIO_get_mem_data(bio, &place);
    *bytes = (const unsigned char *)place;
    return count;
}

static inline void COpenSSL_free(void *place) { OPENSSL_free(place); }

#endif
