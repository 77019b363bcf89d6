import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A datagram, and when it arrived, by `performance.now()`. */
interface Notification {
  readonly text: string
  readonly atMs: number
}

/** Receives datagrams as systemd does, and prints one a line. Perl is part of every Debian, and Node has no such sockets. */
const RECEIVER = `
use Socket;
my ($name) = @ARGV;
$name =~ s/^@/\\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($socket, sockaddr_un($name)) or die "bind: $!";
$| = 1;
print "bound\\n";
while (defined recv($socket, my $text, 8192, 0)) { print "$text\\n" }
`

/** A socket that receives notifications to systemd, at a path or an abstract name (`@name`). */
export class NotifySocket implements AsyncDisposable {
  readonly address: string
  readonly received: Notification[] = []
  readonly #child
  readonly #waiting = new Set<() => void>()

  private constructor(address: string) {
    this.address = address
    this.#child = spawn('perl', ['-e', RECEIVER, address], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  static async bind(address: string): Promise<NotifySocket> {
    const socket = new NotifySocket(address)
    const lines = createInterface(socket.#child.stdout)
    await Promise.race([
      once(lines, 'line'),
      once(socket.#child, 'error').then(([error]) => Promise.reject(error)),
      once(socket.#child, 'exit').then(() => Promise.reject(new Error(`perl cannot bind ${address}`))),
    ])
    lines.on('line', (text) => socket.#receive(text))
    return socket
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text)
  }

  /** Resolves with the first notification for which `matches` returns true, among those that have arrived, too. */
  async receives(matches: (notification: Notification) => boolean): Promise<Notification> {
    for (;;) {
      const found = this.received.find(matches)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  #receive(text: string): void {
    this.received.push({ text, atMs: performance.now() })
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
