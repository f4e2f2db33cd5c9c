import Bytes
import Testing

@testable import OpenStack

@Suite struct `Mistakes of a generated definition` {
    @Test(arguments: [
        ("get: []", "5:10: GET /things must be a mapping"),
        ("gett: {}", "5:11: unknown method: gett"),
        ("[get]", "5:5: /v2.1/things must be a mapping"),
        ("get: {parameters: {}}", "5:23: parameters must be a list"),
        ("get: {parameters: [x]}", "5:24: a parameter must be a mapping"),
        ("get: {parameters: [{in: query}]}", "5:24: a parameter needs a name"),
        ("get: {parameters: [{name: n, in: body}]}", "5:38: in is query, path or header"),
        (
            "get: {parameters: [{$ref: '#/components/parameters/none'}]}",
            "5:31: no such parameter: #/components/parameters/none"
        ),
        ("get: {parameters: [{$ref: [1]}]}", "5:31: no such parameter: "),
        (
            "get: {parameters: [{name: n, in: query, schema: {$ref: '#/components/schemas/None'}}]}",
            "5:60: no such schema: #/components/schemas/None"
        ),
        (
            "get: {parameters: [{name: n, in: query, schema: {$ref: '#/components/schemas/Loop'}}]}",
            "12:11: a schema that leads to itself, or through more than 16 others"
        ),
        (
            "get: {parameters: [{name: n, in: query, schema: {$ref: '#/components/schemas/Items'}}]}",
            "13:20: more than 16 schemas inside of each other"
        ),
        (
            "get: {parameters: [{name: n, in: query, schema: {oneOf: [{$ref: '#/components/schemas/Forms'}]}}]}",
            "14:12: more than 16 schemas inside of each other"
        ),
        (
            "get: {parameters: [{name: n, in: query, schema: {oneOf: [{$ref: '#/components/schemas/Twice'}]}}]}",
            "15:12: more than 100000 schemas"
        ),
        ("get: {parameters: [{name: n, in: query, schema: {oneOf: {}}}]}", "5:61: oneOf must be a list"),
        ("get: {parameters: [{name: n, in: query, schema: {enum: [[]]}}]}", "5:61: enum holds plain values"),
        ("get: {parameters: [{name: n, in: query, schema: [1]}]}", "5:53: schema must be a mapping"),
        (
            "get: {parameters: [{$ref: '#/components/parameters/limit'}, {$ref: '#/components/parameters/limit'}]}",
            "5:10: the parameter limit is described twice"
        ),
        ("get: {parameters: [{$ref: '#/components/parameters/id'}]}", "5:10: id is not in the path"),
        ("get: {x-openstack: {min-ver: '2'}}", "5:34: min-ver must be a version such as \"2.90\""),
        ("get: {x-openstack: {max-ver: []}}", "5:34: max-ver must be a version such as \"2.90\""),
        ("get: {x-openstack: 2.1}", "5:24: x-openstack must be a mapping"),
        ("get: {deprecated: maybe}", "5:23: deprecated must be true or false"),
        ("get: {responses: [200]}", "5:22: responses must be a mapping"),
        ("get: {responses: {ok: {}}}", "5:27: not a status: ok"),
        ("get: {tags: things}", "5:17: tags must be a list"),
        (
            "post: {requestBody: {content: {a/b: {schema: {$ref: 1}}}}}\n  /v2.1/a/action:\n    post: {requestBody: {content: "
                + "{a/b: {schema: {oneOf: [{$ref: '#/components/schemas/None'}]}}}}}",
            "7:66: no such schema: #/components/schemas/None"
        ),
        (
            "get: {}\n  /v2.1/{}/x:\n    get: {}",
            "6:3: not a path: it begins with a slash, and braces hold whole segments"
        ),
        (
            "get: {}\n  /v2.1/a{b}:\n    get: {}",
            "6:3: not a path: it begins with a slash, and braces hold whole segments"
        ),
        ("get: {}\n  /v2.1/{id}:\n    get: {}", "7:10: the path parameter id is not described"),
        (
            "get: {}\n  /v2.1/a//b:\n    get: {}",
            "6:3: not a path: it begins with a slash, and braces hold whole segments"
        ),
        ("get: {}\n  /v2.1/{a}/{b}/{c}/{d}/{e}:\n    get: {}", "6:3: more than 4 parameters in a path"),
        ("get: {x-gatehouse: {cach: list}}", "5:25: unknown key in x-gatehouse: cach"),
    ])
    func `says what is wrong and where`(thing: String, expected: String) {
        let components = """
                Loop: {$ref: '#/components/schemas/Loop'}
                Items: {items: {$ref: '#/components/schemas/Items'}}
                Forms: {oneOf: [{$ref: '#/components/schemas/Forms'}, {type: string}]}
                Twice: {oneOf: [\(Array(repeating: "{$ref: '#/components/schemas/Twice'}", count: 4).joined(separator: ", "))]}
            """
        let found = definitionMistakes(generatedDocument("    " + thing, components: components)).split(
            separator: "\n")
        #expect(found.contains { $0 == "things.yaml:" + expected }, "\(found)")
    }

    @Test func `a mistake names the file that it is in`() {
        let overlay = """
            overlay: 1.0.0
            info: {title: T, version: 1.0.0}
            actions:
              - target: $.paths.*.get
                update:
                  x-gatehouse: {audit: look}
            """
        #expect(
            definitionMistakes(generatedDocument("    get: {tags: x}"), overlay: overlay) == """
                things.yaml:5:17: tags must be a list
                overlay.yaml:6:28: not an audit action: look
                """)
        #expect(
            definitionMistakes(generatedDocument("    get: {}"), overlay: "overlay: 1.0.0\nactions: [")
                == "overlay.yaml:3:1: did not find expected node content")
    }

    @Test func `no cut or change of a document traps`() {
        let text = Array(
            generatedDocument(
                """
                    get:
                      x-openstack: {min-ver: '2.5', max-ver: '2.9'}
                      parameters: [{$ref: '#/components/parameters/limit'}, {name: n, in: query, schema: {oneOf: [
                        {type: string, enum: [true, a], x-openstack: {min-ver: '2.3'}}, {$ref: '#/components/schemas/Empty'}]}}]
                      responses: {'200': {description: D}}
                  /v2.1/things/{id}/action:
                    parameters: [{$ref: '#/components/parameters/id'}]
                    post: {requestBody: {content: {a/b: {schema: {oneOf: [{$ref: '#/components/schemas/Empty'},
                      {properties: {stop: {}}, x-openstack: {action-name: stop}}]}}}}}
                """
            ).utf8)
        let overlay = """
            overlay: 1.0.0
            info: {title: T, version: 1.0.0}
            actions:
              - {target: $.paths.*.*, update: {x-gatehouse: {strict: "2.5"}}}
              - {target: "$..[?@.name=='n']", remove: true}
            """
        var random = RandomSource(seed: (4, 3, 2, 1))
        for round in 0..<2_000 {
            var changed = text
            if round % 2 == 0 {
                changed.removeSubrange(Int(random.next() % UInt64(text.count))...)
            } else {
                for _ in 0..<2 {
                    // With characters of the document itself, so that most are documents still.
                    changed[Int(random.next() % UInt64(text.count))] =
                        text[Int(random.next() % UInt64(text.count))]
                }
            }
            _ = definitionMistakes(
                String(decoding: changed, as: UTF8.self), overlay: round % 3 == 0 ? overlay : nil)
        }
    }
}
