import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { addressOf, listen, urlThrough } from './loopback.ts'

export type Direction = 'toServer' | 'toClient' | 'both'

/** One way of a connection: what is held waits in `queue`, in order. */
interface Way {
  readonly to: Socket
  readonly queue: Buffer[]
  isHeld: boolean
}

interface Link {
  name: string
  readonly toServer: Way
  readonly toClient: Way
}

/** Where a connection is torn apart: with half of a statement that matches delivered, or half of its answer. */
interface Tear {
  readonly name: string
  readonly statement: RegExp
  readonly within: 'statement' | 'answer'
  readonly torn: () => void
}

/** The statement from which on the answers to a connection are held. */
interface Mute {
  readonly name: string
  readonly statement: RegExp
  readonly muted: () => void
}

export interface Hold {
  /** Connections of these names. @default all */
  readonly names?: RegExp
  /** Connections made later are held too. @default true */
  readonly newOnes?: boolean
}

/**
 * A proxy in front of Postgres that delays in one or both directions without losing or closing anything, and that can
 * reset a connection in the middle of a message. Connections are named by their application_name.
 */
export class Wire implements AsyncDisposable {
  readonly #databaseUrl: string
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #tears = new Set<Tear>()
  readonly #mutes = new Set<Mute>()
  #held: { readonly direction: Direction; readonly names: RegExp } | undefined

  #hasConnected: () => void = () => undefined
  /** Resolves when the first connection is open. */
  readonly connected = new Promise<void>((resolve) => {
    this.#hasConnected = resolve
  })

  private constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
    this.#server = createServer((client) => this.#link(client))
  }

  static async start(databaseUrl: string): Promise<Wire> {
    const wire = new Wire(databaseUrl)
    await listen(wire.#server)
    return wire
  }

  /** The database's URL through this proxy; `parameters` are added. */
  url(parameters: Readonly<Record<string, string>> = {}): string {
    const url = new URL(urlThrough(this.#server, this.#databaseUrl))
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return url.href
  }

  /** From now on nothing arrives in this direction, until `release()`. */
  hold(direction: Direction, { names = /(?:)/, newOnes = true }: Hold = {}): void {
    if (newOnes) this.#held = { direction, names }
    for (const link of this.#links) if (names.test(link.name)) holdLink(link, direction)
  }

  /** What was held arrives, in its order. */
  release(): void {
    this.#held = undefined
    for (const { toServer, toClient } of this.#links) {
      releaseWay(toServer)
      releaseWay(toClient)
    }
  }

  /** Resolves when a connection of this name has sent a statement that matches; nothing that the server says from there on arrives. */
  mute(name: string, statement: RegExp): Promise<void> {
    return new Promise((muted) => this.#mutes.add({ name, statement, muted }))
  }

  /** Resolves when a connection of this name was reset in the middle of a statement that matches, or of its answer. */
  tear(name: string, statement: RegExp, within: Tear['within']): Promise<void> {
    return new Promise((torn) => this.#tears.add({ name, statement, within, torn }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const link of this.#links) reset(link)
    await once(this.#server, 'close')
  }

  #link(client: Socket): void {
    this.#hasConnected()
    const server = createConnection(addressOf(this.#databaseUrl))
    const link: Link = {
      name: '',
      toServer: { to: server, queue: [], isHeld: false },
      toClient: { to: client, queue: [], isHeld: false },
    }
    this.#links.add(link)
    let tear: Tear | undefined
    client.on('data', (chunk: Buffer) => {
      if (link.name === '') this.#name(link, chunk)
      this.#muteFrom(link, chunk)
      const begun = this.#tearFor(link, chunk)
      if (begun?.within === 'statement') return this.#tearApart(link, link.toServer, chunk, begun)
      tear = begun ?? tear
      send(link.toServer, chunk)
    })
    server.on('data', (chunk: Buffer) => {
      if (tear === undefined) send(link.toClient, chunk)
      else this.#tearApart(link, link.toClient, chunk, tear)
    })
    for (const [from, way] of [[client, link.toServer] as const, [server, link.toClient] as const]) {
      from.setNoDelay(true)
      from.on('error', () => undefined)
      from.on('close', () => {
        // The other side learns of the end when data flows again.
        if (!way.isHeld) way.to.destroy()
        if (client.destroyed && server.destroyed) this.#links.delete(link)
      })
    }
  }

  #name(link: Link, startup: Buffer): void {
    link.name = /application_name\0([^\0]*)\0/.exec(startup.toString('latin1'))?.[1] ?? ''
    if (this.#held?.names.test(link.name)) holdLink(link, this.#held.direction)
  }

  #muteFrom(link: Link, chunk: Buffer): void {
    const mute = [...this.#mutes].find((each) => isAbout(each, link, chunk))
    if (mute === undefined) return
    this.#mutes.delete(mute)
    holdLink(link, 'toClient')
    mute.muted()
  }

  #tearFor(link: Link, chunk: Buffer): Tear | undefined {
    return [...this.#tears].find((each) => isAbout(each, link, chunk))
  }

  #tearApart(link: Link, way: Way, chunk: Buffer, tear: Tear): void {
    if (!this.#tears.delete(tear)) return
    way.to.write(chunk.subarray(0, Math.floor(chunk.length / 2)), () => {
      reset(link)
      tear.torn()
    })
  }
}

const isAbout = ({ name, statement }: Mute | Tear, link: Link, chunk: Buffer): boolean =>
  name === link.name && statement.test(chunk.toString('latin1'))

const holdLink = ({ toServer, toClient }: Link, direction: Direction): void => {
  if (direction !== 'toClient') toServer.isHeld = true
  if (direction !== 'toServer') toClient.isHeld = true
}

const send = (way: Way, chunk: Buffer): void => {
  if (way.isHeld) way.queue.push(chunk)
  else way.to.write(chunk)
}

const releaseWay = (way: Way): void => {
  way.isHeld = false
  for (const chunk of way.queue.splice(0)) way.to.write(chunk)
}

const reset = ({ toServer, toClient }: Link): void => {
  toServer.to.resetAndDestroy()
  toClient.to.resetAndDestroy()
}
