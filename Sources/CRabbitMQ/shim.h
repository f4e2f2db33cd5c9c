#ifndef GATEHOUSE_CRABBITMQ_SHIM_H
#define GATEHOUSE_CRABBITMQ_SHIM_H

// The methods, tables and properties of AMQP 0-9-1 alone: connections are the house's own, so that no call of the
// library waits for anybody.
#include <amqp.h>
#include <string.h>

// The values of a table are a union, and what is set of the properties stands in a mask.

static inline amqp_bytes_t CRabbitMQ_bytes(const void *bytes, size_t byteCount) {
    amqp_bytes_t made;
    made.len = byteCount;
    made.bytes = (void *)bytes;
    return made;
}

static inline amqp_table_entry_t CRabbitMQ_text(const char *name, const char *text) {
    amqp_table_entry_t entry;
    memset(&entry, 0, sizeof entry);
    entry.key = CRabbitMQ_bytes(name, strlen(name));
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = CRabbitMQ_bytes(text, strlen(text));
    return entry;
}

static inline amqp_table_entry_t CRabbitMQ_yes(const char *name) {
    amqp_table_entry_t entry;
    memset(&entry, 0, sizeof entry);
    entry.key = CRabbitMQ_bytes(name, strlen(name));
    entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entry.value.value.boolean = 1;
    return entry;
}

// Encodes connection.start-ok with what a client says of itself: answers how many bytes, or a negative status.
//
// `capabilities` are what RabbitMQ is to know: that connection.blocked is understood, and that a wrong password shall be
// told by connection.close instead of by an end of the connection.
static inline int CRabbitMQ_encodeStartOK(const char *version, amqp_bytes_t response, amqp_bytes_t room) {
    amqp_table_entry_t capabilities[] = {
        CRabbitMQ_yes("publisher_confirms"), CRabbitMQ_yes("basic.nack"), CRabbitMQ_yes("connection.blocked"),
        CRabbitMQ_yes("authentication_failure_close"),
    };
    amqp_table_entry_t properties[3];
    amqp_connection_start_ok_t method;
    properties[0] = CRabbitMQ_text("product", "gatehouse");
    properties[1] = CRabbitMQ_text("version", version);
    properties[2] = CRabbitMQ_text("capabilities", "");
    properties[2].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[2].value.value.table.num_entries = sizeof capabilities / sizeof capabilities[0];
    properties[2].value.value.table.entries = capabilities;
    method.client_properties.num_entries = sizeof properties / sizeof properties[0];
    method.client_properties.entries = properties;
    method.mechanism = CRabbitMQ_bytes("PLAIN", 5);
    method.response = response;
    method.locale = CRabbitMQ_bytes("en_US", 5);
    return amqp_encode_method(AMQP_CONNECTION_START_OK_METHOD, &method, room);
}

// Encodes the properties of a message: persistent JSON. Answers how many bytes, or a negative status.
static inline int CRabbitMQ_encodeProperties(amqp_bytes_t messageID, uint64_t seconds, amqp_bytes_t room) {
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                        AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                        AMQP_BASIC_APP_ID_FLAG;
    properties.content_type = CRabbitMQ_bytes("application/json", 16);
    properties.content_encoding = CRabbitMQ_bytes("utf-8", 5);
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.message_id = messageID;
    properties.timestamp = seconds;
    properties.app_id = CRabbitMQ_bytes("gatehouse", 9);
    return amqp_encode_properties(AMQP_BASIC_CLASS, &properties, room);
}

#endif
