internal import Bytes
internal import COpenSSL

/// A script that the server runs, with the beginnings of the commands that call it.
///
/// - Source: GCRA as `Buckets` has it, in microseconds, which a number of Lua holds exactly until the year 2255. `TIME` is the
///   server's, so that the clocks of the processes that share it do not matter. Redis 5 or later: what a script did is
///   replicated, not the script.
struct StoreScript {
    /// `$7 EVALSHA $40 …`, the name and the script of a command.
    let shortHead: [UInt8]
    /// `$4 EVAL $… …`: the same, with the script whole.
    let wholeHead: [UInt8]
    /// Puts the script where `EVALSHA` finds it.
    let load: [UInt8]

    init(_ text: String) {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        var count: UInt32 = 0
        let made = EVP_Digest(bytes, bytes.count, &digest, &count, EVP_sha1(), nil)
        precondition(made == 1 && count == 20, "SHA-1 is part of every OpenSSL")
        var head = Buffer(capacity: 128 + bytes.count)
        head.appendRedis("EVALSHA")
        head.appendRedis(byteCount: 40)
        for byte in digest { head.appendHexadecimal(UInt64(byte), width: 2) }
        head.append("\r\n")
        shortHead = Array(head.readable)
        head.removeAll()
        head.appendRedis("EVAL")
        bytes.withUnsafeBufferPointer { head.appendRedis($0) }
        wholeHead = Array(head.readable)
        guard let load = RedisCommand(["SCRIPT", "LOAD", text]) else { preconditionFailure("no memory") }
        self.load = load.bytes
    }

    /// Takes from all buckets or from none; one of a shadow rule that refuses takes nothing, and refuses nobody.
    ///
    /// Of each bucket: cost, tolerance, 1 for shadow. Answers the server's time, then for each bucket how long it refuses
    /// and how long until its debt is paid.
    ///
    /// A debt that no bucket of this tolerance can have is that of another server's clock, as after a fail-over, or of a burst
    /// that was lowered: the bucket is empty then, no more.
    static let take = StoreScript(
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        local held = redis.call('MGET', unpack(KEYS))
        local answer = {now}
        local refused = false
        for i = 1, #KEYS do
          local paid = math.max(tonumber(held[i] or 0), now)
          local most = now + ARGV[3 * i - 1]
          if paid > most then
            paid = most
            redis.call('SET', KEYS[i], string.format('%.0f', paid), 'PX', math.max(math.ceil((paid - now) / 1000), 1))
          end
          local wait = math.max(paid + ARGV[3 * i - 2] - now - ARGV[3 * i - 1], 0)
          answer[2 * i] = wait
          answer[2 * i + 1] = paid - now
          if wait > 0 and ARGV[3 * i] == '0' then refused = true end
        end
        for i = 1, #KEYS do
          local cost = tonumber(ARGV[3 * i - 2])
          if cost > 0 and answer[2 * i] == 0 and not refused then
            local owed = answer[2 * i + 1] + cost
            answer[2 * i + 1] = owed
            redis.call('SET', KEYS[i], string.format('%.0f', now + owed), 'PX', math.ceil(owed / 1000))
          end
        end
        return answer
        """)

    /// Gives back what a request did not cost: at most what is still owed of it, so that no time admits more than its rate.
    ///
    /// Of each bucket: how much, and when the debt with it is paid.
    static let giveBack = StoreScript(
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        for i = 1, #KEYS do
          local back = math.min(tonumber(ARGV[2 * i - 1]), ARGV[2 * i] - now)
          local paid = tonumber(redis.call('GET', KEYS[i]) or 0)
          if back > 0 and paid > now then
            local owed = paid - back - now
            if owed > 0 then
              redis.call('SET', KEYS[i], string.format('%.0f', now + owed), 'PX', math.ceil(owed / 1000))
            else
              redis.call('DEL', KEYS[i])
            end
          end
        end
        return 0
        """)
}
