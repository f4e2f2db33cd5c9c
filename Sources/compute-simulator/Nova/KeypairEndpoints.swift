/// `/os-keypairs`.
enum KeypairEndpoints {
    static let all: [Endpoint] = [
        Endpoint("GET", "os-keypairs", strictFrom: 75, query: ["user_id", "limit", "marker"]) {
            call throws(NovaFault) in try list(call)
        },
        Endpoint("GET", "os-keypairs/{}") { call throws(NovaFault) in
            let keypair = try find(call, policy: "show")
            return .json { writer in
                writer.member("keypair") { item in
                    write(&item, keypair, call)
                    item.member("user_id", keypair.user)
                    item.member("created_at", keypair.created.fractionText)
                    item.member("deleted", false)
                    item.member("deleted_at", .null)
                    item.member("id", keypair.number)
                    item.member("updated_at", .null)
                }
            }
        },
        Endpoint("POST", "os-keypairs") { call throws(NovaFault) in try create(call) },
        Endpoint("DELETE", "os-keypairs/{}") { call throws(NovaFault) in
            let keypair = try find(call, policy: "delete")
            call.cloud.keypairs[keypair.user]?.removeAll { $0.name == keypair.name }
            return Response(call.minor >= 2 ? 204 : 202)
        },
    ]

    private static func owner(_ call: Call, policy: String) throws(NovaFault) -> String {
        guard call.minor >= 10, let user = call.queryValue("user_id"), user != call.token.user else {
            return call.token.user
        }
        try call.require("admin", "os-keypairs:" + policy)
        return user
    }

    private static func find(_ call: Call, policy: String) throws(NovaFault) -> Keypair {
        let user = try owner(call, policy: policy)
        let name = call.parameters[0]
        guard let keypair = call.cloud.keypairs[user]?.first(where: { $0.name == name }) else {
            throw .notFound("Keypair \(name) not found for user \(user)")
        }
        return keypair
    }

    private static func list(_ call: Call) throws(NovaFault) -> Response {
        let isPaged = call.minor >= 35
        let limit = isPaged ? try call.limit() : call.cloud.maximumPage
        let user = try owner(call, policy: "index")
        let keypairs = (call.cloud.keypairs[user] ?? []).sorted { $0.name < $1.name }
        let page: ArraySlice<Keypair>
        let isFull: Bool
        if isPaged {
            (page, isFull) = try call.page(
                keypairs, limit: limit, missing: { .badRequest("Marker \($0) could not be found.") },
                key: \.name)
        } else {
            (page, isFull) = (keypairs[...], false)
        }
        return .json { writer in
            writer.list("keypairs") { items in
                for keypair in page {
                    items.object { item in item.member("keypair") { write(&$0, keypair, call) } }
                }
            }
            if isFull, let last = page.last {
                call.writeNext(
                    &writer, "keypairs_links", path: "/os-keypairs", marker: last.name,
                    known: ["limit", "user_id"])
            }
        }
    }

    private static func write(_ writer: inout JSONWriter, _ keypair: Keypair, _ call: Call) {
        writer.member("name", keypair.name)
        if call.minor >= 2 { writer.member("type", keypair.type) }
        writer.member("public_key", keypair.publicKey)
        writer.member("fingerprint", keypair.fingerprint)
    }

    private static func create(_ call: Call) throws(NovaFault) -> Response {
        let body = try call.object("keypair")
        let name = try call.text("name", of: body, in: "keypair")
        try call.require("member", "os-keypairs:create")
        let user = call.token.user
        let publicKey: String
        if let given = body["public_key"]?.string {
            publicKey = given
        } else if call.minor >= 92 {
            throw .badRequest(
                "Invalid input for field/attribute keypair. Value: \(body.plainText). "
                    + "'public_key' is a required property")
        } else {
            publicKey = "ssh-rsa AAAAB3NzaC1yc2EA" + call.cloud.ids.hex(16) + "aa Generated-by-Nova"
        }
        guard let fingerprint = fingerprint(publicKey) else {
            throw .badRequest("Keypair data is invalid: failed to generate fingerprint")
        }
        let existing = call.cloud.keypairs[user, default: []]
        guard !existing.contains(where: { $0.name == name }) else {
            throw .conflict("Key pair '\(name)' already exists.")
        }
        guard existing.count < 1000 else { throw .nova(403, "Quota exceeded, too many key pairs.") }
        let keypair = Keypair(
            number: call.cloud.nextKeypairNumber(), name: name, type: body["type"]?.string ?? "ssh",
            publicKey: publicKey, fingerprint: fingerprint, user: user, created: call.now)
        call.cloud.keypairs[user, default: []].append(keypair)
        return .json(call.minor >= 2 ? 201 : 200) { writer in
            writer.member("keypair") { item in
                if call.minor >= 2 { item.member("type", keypair.type) }
                item.member("name", keypair.name)
                item.member("public_key", keypair.publicKey)
                item.member("fingerprint", keypair.fingerprint)
                item.member("user_id", user)
                if body["public_key"] == nil {
                    item.member(
                        "private_key", "-----BEGIN SIMULATED PRIVATE KEY-----\n\(call.cloud.ids.hex(8))\n")
                }
            }
        }
    }

    /// The MD5 of the key's decoded middle part, byte by byte with colons; nil when it does not decode.
    static func fingerprint(_ publicKey: String) -> String? {
        let parts = publicKey.split(separator: " ")
        guard parts.count >= 2, parts[0].hasPrefix("ssh-") || parts[0].hasPrefix("ecdsa-"),
            let bytes = base64Decoded(parts[1])
        else { return nil }
        return Digest.of(bytes, .md5).map { Text.hexadecimal([$0]) }.joined(separator: ":")
    }

    private static func base64Decoded(_ text: Substring) -> [UInt8]? {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var (bits, bitCount): (UInt32, Int) = (0, 0)
        var bytes: [UInt8] = []
        for character in text.utf8 where character != UInt8(ascii: "=") {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = (bits << 6 | UInt32(value)) & 0xFFFF
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        return bytes.isEmpty ? nil : bytes
    }
}
