/// As much of the image API v2 as the compute clients ask for: versions, list with filters, show.
struct ImageService {
    let cloud: Cloud

    func answer(_ request: Request, _ path: [String], now: Moment) -> Response {
        let base = LinkBase(request).text + "/image"
        guard request.method == "GET" else { return Response(405) }
        if path.isEmpty || path == ["versions"] {
            return .json(path.isEmpty ? 300 : 200) { writer in
                writer.list("versions") { versions in
                    versions.object { version in
                        version.member("id", "v2.17")
                        version.member("status", "CURRENT")
                        version.list("links") { links in
                            links.object { link in
                                link.member("rel", "self")
                                link.member("href", base + "/v2/")
                            }
                        }
                    }
                }
            }
        }
        guard let text = request.value("x-auth-token"), cloud.validToken(text, at: now) != nil else {
            return Response(401, content: NovaFault.unauthorizedContent)
        }
        guard path.count >= 2, path[0] == "v2", path[1] == "images" else { return missing("Not Found") }
        if path.count == 2 { return list(Text.queryPairs(request.query) ?? []) }
        guard path.count == 3, let image = cloud.images.first(where: { $0.id == path[2] }) else {
            return missing("Failed to find image \(path.last ?? "")")
        }
        return .json { write(&$0, image) }
    }

    private func missing(_ text: String) -> Response {
        Response(
            404, [("Content-Type", "text/plain; charset=UTF-8")],
            content: Array("404 Not Found\n\n\(text)".utf8))
    }

    private func list(_ query: [(name: String, value: String)]) -> Response {
        var images = cloud.images
        for (name, value) in query {
            if name == "name" { images.removeAll { $0.name != value } }
            if name == "owner" { images.removeAll { $0.owner != value } }
            if name == "id" {
                let ids =
                    value.hasPrefix("in:")
                    ? value.dropFirst(3).split(separator: ",").map(String.init) : [value]
                images.removeAll { !ids.contains($0.id) }
            }
            if name == "marker", let index = images.firstIndex(where: { $0.id == value }) {
                images.removeFirst(index + 1)
            }
        }
        let limit = query.last { $0.name == "limit" }.flatMap { Int($0.value) } ?? 1000
        return .json { writer in
            writer.list("images") { items in
                for image in images.prefix(max(0, limit)) { items.object { write(&$0, image) } }
            }
            writer.member("first", "/v2/images")
            writer.member("schema", "/v2/schemas/images")
        }
    }

    private func write(_ writer: inout JSONWriter, _ image: Image) {
        writer.member("name", image.name)
        writer.member("disk_format", "qcow2")
        writer.member("container_format", "bare")
        writer.member("visibility", "public")
        writer.member("size", image.byteCount)
        writer.member("status", image.status)
        writer.member("protected", false)
        writer.member("min_ram", 0)
        writer.member("min_disk", 0)
        writer.member("owner", image.owner)
        writer.member("os_hidden", false)
        writer.member("id", image.id)
        writer.member("created_at", image.created.text)
        writer.member("updated_at", image.created.text)
        writer.member("tags", strings: [])
        writer.member("self", "/v2/images/" + image.id)
        writer.member("file", "/v2/images/\(image.id)/file")
        writer.member("schema", "/v2/schemas/image")
    }
}
