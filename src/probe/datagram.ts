import { getSystemErrorMap, getSystemErrorName } from 'node:util'
import { GoodJobError } from '../errors.ts'

/** A notification cannot be sent to systemd. The message names the socket and the cause. */
class NotifySocketError extends GoodJobError {}

export type SendDatagram = (text: string) => void

/** Linux, on every processor that Node supports. */
const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
/** The size of `sun_path`. */
const MAX_PATH = 108

/**
 * A function that sends one datagram to a Unix socket, as sd_notify(3) does: a path, or an abstract name that begins with `@`. Node has no
 * datagram sockets for Unix addresses, so the functions of the C library are called by the optional package koffi. The call never waits: a
 * full queue of the receiver is an error.
 * @throws NotifySocketError if that is impossible here
 */
export const datagramSender = async (address: string): Promise<SendDatagram> => {
  if (process.platform !== 'linux') throw new NotifySocketError(`systemd does not exist on ${process.platform}`)
  const name = socketName(address)
  const { socket, sendto, close, errno } = await loadFunctions()
  const failure = (call: string) => {
    const code = -errno()
    const [, text] = getSystemErrorMap().get(code) ?? []
    return new NotifySocketError(`${address}: ${call} failed, ${getSystemErrorName(code)}, ${text ?? 'unknown error'}`)
  }
  return (text) => {
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) throw failure('socket')
    try {
      const message = Buffer.from(text)
      const sent = sendto(fd, message, message.length, MSG_DONTWAIT | MSG_NOSIGNAL, name, name.length)
      if (sent !== message.length) throw failure('sendto')
    } finally {
      close(fd)
    }
  }
}

/** `struct sockaddr_un`: the family in the byte order of the machine, then a path with its NUL, or a NUL and the abstract name. */
const socketName = (address: string): Buffer => {
  const isAbstract = address.startsWith('@')
  if (!isAbstract && !address.startsWith('/')) {
    throw new NotifySocketError(`${address}: expected a path that begins with / or an abstract name that begins with @`)
  }
  const path = Buffer.from(isAbstract ? `\0${address.slice(1)}` : `${address}\0`)
  if (path.length > MAX_PATH)
    throw new NotifySocketError(`${address}: a socket has a name of at most ${MAX_PATH} bytes`)
  return Buffer.concat([new Uint8Array(Uint16Array.of(AF_UNIX).buffer), path])
}

const loadFunctions = async () => {
  const { default: koffi } = await import('koffi').catch((cause: Error) => {
    throw new NotifySocketError(
      `the optional package koffi, which sends to Unix sockets, does not load (${cause.message}); install it: npm install koffi`,
      { cause },
    )
  })
  const libc = koffi.load(null)
  return {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    sendto: libc.func(
      'long sendto(int fd, const void *message, size_t length, int flags, const void *name, uint32_t nameLength)',
    ),
    close: libc.func('int close(int fd)'),
    errno: () => koffi.errno(),
  }
}
