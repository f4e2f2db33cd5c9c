import Bytes
import Testing

struct BufferTests {
    @Test func `what does not fit is dropped and remembered until everything is forgotten`() {
        var buffer = Buffer(capacity: 8)
        buffer.append("12345678")
        #expect(buffer.hasOverflowed == false)
        buffer.append(0x39)
        #expect(buffer.hasOverflowed == true)
        #expect(buffer.readable.string == "12345678")
        buffer.removeAll()
        #expect(!buffer.hasOverflowed && buffer.isEmpty)
    }

    @Test func `a run of bytes that is too long is dropped whole`() {
        var buffer = Buffer(capacity: 8)
        buffer.append("12345")
        buffer.append("6789")
        #expect(buffer.hasOverflowed == true)
        #expect(buffer.readable.string == "12345")
    }

    @Test func `a buffer without a block overflows at the first byte and takes an empty run`() {
        var buffer = Buffer()
        buffer.append(ByteView(start: nil, count: 0))
        #expect(!buffer.hasOverflowed && !buffer.hasBlock && buffer.room == 0)
        buffer.append(0x41)
        #expect(buffer.hasOverflowed && buffer.readable.isEmpty)
    }

    @Test func `consumed bytes leave the readable window and compacting gains their room`() {
        var buffer = Buffer(capacity: 8)
        buffer.append("abcdefgh")
        buffer.consume(5)
        #expect(buffer.readable.string == "fgh")
        #expect(buffer.all.string == "abcdefgh")
        buffer.compact(to: 2)
        #expect(buffer.start == 2 && buffer.readable.string == "fgh" && buffer.room == 3)
        buffer.compact()
        #expect(buffer.start == 0 && buffer.readable.string == "fgh" && buffer.room == 5)
    }

    @Test func `bytes written into the room are counted by growing`() {
        var buffer = Buffer(capacity: 4)
        buffer.append(0x61)
        let room = buffer.writable
        #expect(room.count == 3)
        room[0] = 0x62
        room[1] = 0x63
        buffer.grow(by: 2)
        #expect(buffer.readable.string == "abc" && buffer.room == 1)
    }

    @Test func `a larger block keeps contents and offsets`() {
        var buffer = Buffer(capacity: 4)
        buffer.append("abcd")
        buffer.consume(1)
        buffer.enlarge(to: 16)
        #expect(buffer.capacity == 16 && buffer.start == 1 && buffer.readable.string == "bcd")
        buffer.enlarge(to: 2)
        #expect(buffer.capacity == 16)
        buffer.free()
        #expect(!buffer.hasBlock && buffer.capacity == 0)
    }

    @Test(arguments: [
        (UInt64(0), "0"), (9, "9"), (10, "10"), (18_446_744_073_709_551_615, "18446744073709551615"),
    ])
    func `numbers are written in decimal`(value: UInt64, text: String) {
        var buffer = Buffer(capacity: 20)
        buffer.appendDecimal(value)
        #expect(buffer.readable.string == text && !buffer.hasOverflowed)
    }

    @Test func `each number of digits begins and ends where it should`() {
        var power: UInt64 = 1
        for _ in 0..<19 {
            power *= 10
            for value in [power - 1, power, power + 1, power + power / 2 + 7] {
                var buffer = Buffer(capacity: 20)
                buffer.appendDecimal(value)
                #expect(buffer.readable.string == String(value))
                var short = Buffer(capacity: String(value).utf8.count - 1)
                short.appendDecimal(value)
                #expect(short.hasOverflowed && short.isEmpty)
            }
        }
        for value in 0..<1_000 {
            var buffer = Buffer(capacity: 3)
            buffer.appendDecimal(value)
            #expect(buffer.readable.string == String(value))
        }
    }

    @Test func `negative numbers carry a sign down to the smallest`() {
        var buffer = Buffer(capacity: 32)
        buffer.appendDecimal(Int.min)
        #expect(buffer.readable.string == "-9223372036854775808")
    }

    @Test(arguments: [
        (UInt64(0), 1, "0"), (15, 1, "f"), (16, 1, "10"), (255, 4, "00ff"), (0x1_0000, 1, "10000"),
        (.max, 1, "ffffffffffffffff"), (0x0123_4567_89AB_CDEF, 16, "0123456789abcdef"),
        (1, 18, "000000000000000001"),
    ])
    func `numbers are written in hexadecimal`(value: UInt64, width: Int, text: String) {
        var buffer = Buffer(capacity: 32)
        buffer.appendHexadecimal(value, width: width)
        #expect(buffer.readable.string == text)
    }

    @Test func `bytes are written in two hexadecimal digits each, all or none`() {
        var buffer = Buffer(capacity: 7)
        let bytes: [UInt8] = [0x00, 0x9A, 0xFF]
        bytes.withUnsafeBytes { buffer.appendHexadecimal($0) }
        #expect(buffer.readable.string == "009aff" && !buffer.hasOverflowed)
        bytes.prefix(1).withUnsafeBytes { buffer.appendHexadecimal($0) }
        #expect(buffer.readable.string == "009aff" && buffer.hasOverflowed)
    }

    @Test func `a pool lends each block once and takes it back`() {
        var pool = BlockPool(blockByteCount: 64, keptCount: 1)
        var one = Buffer()
        var two = Buffer()
        pool.attach(to: &one)
        pool.attach(to: &two)
        pool.attach(to: &two)
        #expect(pool.lentCount == 2 && one.capacity == 64 && two.capacity == 64)
        one.append("left over")
        pool.release(&one)
        pool.release(&one)
        pool.release(&two)
        #expect(pool.lentCount == 0 && !one.hasBlock && !two.hasBlock)
        pool.attach(to: &one)
        #expect(one.isEmpty && one.capacity == 64)
        pool.release(&one)
    }
}
