public import Bytes
public enum FaultNormalizer { public enum Outcome { case unchanged, replaced }
 public static func normalize(status: Int, contentType: ByteView, hasRequestID: Bool, content: ByteView, retryAfterSeconds: Int?, into buffer: inout Buffer) -> Outcome {
   if content.starts(with: "{\"") && status < 500 { return .unchanged }
   let text = Messages.standard(forStatus: status)
   Fault.append(status: status, message: ByteView(start: text.utf8Start, count: text.utf8CodeUnitCount), retryAfterSeconds: retryAfterSeconds, to: &buffer)
   return .replaced } }
