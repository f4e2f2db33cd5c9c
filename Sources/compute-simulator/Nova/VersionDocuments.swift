/// The version documents, which need no token.
enum VersionDocuments {
    private static func write(_ writer: inout JSONWriter, isLegacy: Bool, base: LinkBase, isFull: Bool) {
        writer.member("id", isLegacy ? "v2.0" : "v2.1")
        writer.member("status", isLegacy ? "DEPRECATED" : "CURRENT")
        writer.member("version", isLegacy ? "" : "2.\(VersionChoice.newestMinor)")
        writer.member("min_version", isLegacy ? "" : "2.1")
        writer.member("updated", isLegacy ? "2025-07-04T12:00:00Z" : "2013-07-23T11:33:21Z")
        writer.list("links") { links in
            links.object { link in
                link.member("rel", "self")
                link.member("href", base.text + (isLegacy ? "/v2/" : "/v2.1/"))
            }
            guard isFull else { return }
            links.object { link in
                link.member("rel", "describedby")
                link.member("type", "text/html")
                link.member("href", "http://docs.openstack.org/")
            }
        }
        if isFull { writeTypes(&writer, isLegacy: isLegacy) }
    }

    private static func writeTypes(_ writer: inout JSONWriter, isLegacy: Bool) {
        writer.list("media-types") { types in
            types.object { type in
                type.member("base", "application/json")
                type.member(
                    "type", "application/vnd.openstack.compute+json;version=\(isLegacy ? "2" : "2.1")")
            }
        }
    }

    /// `/`: both versions.
    static func all(_ base: LinkBase) -> Response {
        .json { writer in
            writer.list("versions") { versions in
                versions.object { write(&$0, isLegacy: true, base: base, isFull: false) }
                versions.object { write(&$0, isLegacy: false, base: base, isFull: false) }
            }
        }
    }

    /// `/v2` or `/v2.1`.
    static func one(_ base: LinkBase, isLegacy: Bool) -> Response {
        .json { writer in
            writer.member("version") { write(&$0, isLegacy: isLegacy, base: base, isFull: true) }
        }
    }

    /// Anything outside both versions: 300, the path repeated in the links.
    static func choices(_ base: LinkBase, path: String) -> Response {
        .json(300) { writer in
            writer.list("choices") { choices in
                for isLegacy in [true, false] {
                    choices.object { choice in
                        choice.member("id", isLegacy ? "v2.0" : "v2.1")
                        choice.member("status", isLegacy ? "DEPRECATED" : "CURRENT")
                        choice.list("links") { links in
                            links.object { link in
                                link.member("rel", "self")
                                link.member("href", base.text + (isLegacy ? "/v2" : "/v2.1") + path)
                            }
                        }
                        writeTypes(&choice, isLegacy: isLegacy)
                    }
                }
            }
        }
    }
}
