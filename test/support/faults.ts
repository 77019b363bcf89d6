import { type ChildProcess, spawn } from 'node:child_process'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { World } from './harness.ts'
import { addressOf, listen, portOf } from './loopback.ts'

/** A connection that goes through the proxy. */
interface Link {
  readonly client: Socket
  readonly server: Socket
  /** The application_name that it was opened with. */
  name: string
  isFrozen: boolean
}

/** Cuts the connection of `name` once a statement that matches was executed, before its answer arrives. */
interface Trap {
  readonly name: string
  readonly statement: RegExp
  readonly answer: RegExp
  readonly sprung: () => void
}

/**
 * A TCP proxy in front of Postgres that imitates network faults: cuts, refusals, silence, lost answers. Connections are named
 * by their application_name; no name means all of them.
 */
export class FaultyNetwork implements AsyncDisposable {
  readonly #databaseUrl: string
  readonly #links = new Set<Link>()
  readonly #traps = new Set<Trap>()
  readonly #opened: string[] = []
  #server: Server | undefined
  #port = 0
  #frozenNames: RegExp | undefined

  private constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
  }

  static async start(databaseUrl: string): Promise<FaultyNetwork> {
    const proxy = new FaultyNetwork(databaseUrl)
    await proxy.accept()
    return proxy
  }

  /** The database's URL through the proxy. */
  get url(): string {
    const url = new URL(this.#databaseUrl)
    url.hostname = '127.0.0.1'
    url.port = String(this.#port)
    return url.href
  }

  /** Accepts connections (again, on the same port). */
  async accept(): Promise<void> {
    const server = createServer((client) => this.#link(client))
    await listen(server, this.#port)
    this.#port = portOf(server)
    this.#server = server
  }

  /** Accepts no more connections: ECONNREFUSED, as while a server restarts. */
  refuse(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Ends open connections. */
  cut(name?: string): void {
    for (const link of this.#named(name)) destroy(link)
  }

  /** Open connections and, with a pattern, new ones of these names forward nothing more and stay open: a silent partition. */
  freeze(name?: string, newOnes?: RegExp): void {
    this.#frozenNames = newOnes
    for (const link of this.#named(name)) link.isFrozen = true
  }

  /** Lets new connections through again; frozen ones stay silent for ever, as after a partition. */
  thaw(): void {
    this.#frozenNames = undefined
  }

  /** Resolves when a statement that matches was executed on a connection of this name, its answer lost and the connection cut. */
  loseAnswer(name: string, statement: RegExp, answer = /(?:)/): Promise<void> {
    return new Promise((sprung) => this.#traps.add({ name, statement, answer, sprung }))
  }

  count(name?: string): number {
    return this.#named(name).length
  }

  /** How many connections of this name were ever opened. */
  opened(name: string): number {
    return this.#opened.filter((one) => one === name).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse()
    this.cut()
  }

  #named(name: string | undefined): Link[] {
    return [...this.#links].filter((link) => name === undefined || link.name === name)
  }

  #link(client: Socket): void {
    const link: Link = { client, server: createConnection(addressOf(this.#databaseUrl)), name: '', isFrozen: false }
    this.#links.add(link)
    client.setNoDelay(true)
    link.server.setNoDelay(true)
    let trap: Trap | undefined
    client.on('data', (chunk: Buffer) => {
      if (link.name === '') this.#name(link, chunk)
      if (link.isFrozen) return
      trap ??= this.#trapFor(link, chunk)
      link.server.write(chunk)
    })
    link.server.on('data', (chunk: Buffer) => {
      if (link.isFrozen) return
      if (trap === undefined || !trap.answer.test(chunk.toString('latin1'))) {
        trap = undefined
        client.write(chunk)
        return
      }
      this.#traps.delete(trap)
      destroy(link)
      trap.sprung()
    })
    for (const socket of [client, link.server]) {
      socket.on('error', () => undefined)
      // A frozen connection does not report the end of either side to the other.
      socket.on('close', () => {
        if (link.isFrozen && !(client.destroyed && link.server.destroyed)) return
        this.#links.delete(link)
        destroy(link)
      })
    }
  }

  #name(link: Link, startup: Buffer): void {
    link.name = /application_name\0([^\0]*)\0/.exec(startup.toString('latin1'))?.[1] ?? ''
    this.#opened.push(link.name)
    if (this.#frozenNames?.test(link.name)) link.isFrozen = true
  }

  #trapFor(link: Link, chunk: Buffer): Trap | undefined {
    const text = chunk.toString('latin1')
    return [...this.#traps].find(({ name, statement }) => name === link.name && statement.test(text))
  }
}

const destroy = ({ client, server }: Link): void => {
  client.destroy()
  server.destroy()
}

/** A worker in a process of its own, to be killed. */
export interface WorkerProcess {
  readonly child: ChildProcess
  readonly processId: string
  /** Resolves with the rest of the next line that begins with `word`, also of one that came before. */
  line(word: string): Promise<string>
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>
  /** Sends a signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts test/fixtures/worker.mjs, which runs the jobs that its own text describes; resolves when it is ready. */
export const startWorkerProcess = async (
  databaseUrl: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<WorkerProcess> => {
  const child = spawn(process.execPath, [new URL('../fixtures/worker.mjs', import.meta.url).pathname], {
    env: { ...process.env, WORKER_OPTIONS: JSON.stringify({ databaseUrl, batchSweepInterval: 0, ...options }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const lines: string[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of waiting) look()
  })
  const line = (word: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = () => {
        const index = lines.findIndex((each) => each.split(' ')[0] === word)
        if (index < 0) return
        waiting.delete(look)
        resolve(lines.splice(index, 1)[0]?.slice(word.length + 1) ?? '')
      }
      waiting.add(look)
      void exited.then(() => {
        if (waiting.delete(look)) reject(new Error(`the worker ended before it said ${word}: ${lines.join(' | ')}`))
      })
      look()
    })
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    return exited
  }
  return {
    child,
    processId: await line('ready'),
    line,
    kill: async () => void (await end('SIGKILL')),
    stop: (signal = 'SIGTERM') => end(signal),
  }
}

/** The server refuses updates of jobs, those for which `condition` holds, until this is disposed of. `code`: the SQLSTATE. */
export const refuseUpdates = async (
  { sql }: Pick<World, 'sql'>,
  {
    message,
    condition = 'true',
    code = 'P0001',
  }: { readonly message: string; readonly condition?: string; readonly code?: string },
): Promise<AsyncDisposable> => {
  await sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF ${condition} THEN RAISE EXCEPTION '${message}' USING ERRCODE = '${code}'; END IF;
      RETURN NEW;
    END $$`)
  await sql('CREATE TRIGGER refuse BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION refuse()')
  return {
    [Symbol.asyncDispose]: async () => {
      await sql('DROP FUNCTION IF EXISTS refuse CASCADE')
    },
  }
}
