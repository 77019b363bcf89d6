import { createInterface } from 'node:readline'
import type { Program } from './program.ts'

/** What a Ruby snippet raised. */
class RubyError extends Error {
  readonly rubyClass: string
  readonly backtrace: readonly string[]

  constructor(rubyClass: string, message: string, backtrace: readonly string[]) {
    super(`${rubyClass}: ${message}\n    ${backtrace.slice(0, 6).join('\n    ')}`)
    this.rubyClass = rubyClass
    this.backtrace = backtrace
  }
}

interface Answer {
  /** Absent in the first message, which says that Rails has booted. */
  readonly id?: number
  readonly value?: unknown
  readonly error?: { readonly class: string; readonly message: string; readonly backtrace: string[] }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

const BOOTED = 0

/** The other end of rails/lib/snippet_server.rb. */
export class RubyConsole {
  readonly #program: Program
  readonly #waiting = new Map<number, Waiting>()
  #lastId = BOOTED

  private constructor(program: Program) {
    this.#program = program
    createInterface({ input: program.output }).on('line', (line) => this.#hear(JSON.parse(line)))
    void program.exited.then(() => this.#fail())
  }

  /** Resolves when Rails has booted. */
  static async boot(program: Program): Promise<RubyConsole> {
    const ruby = new RubyConsole(program)
    await ruby.#answerTo(BOOTED)
    return ruby
  }

  /** Runs Ruby and returns its value, as JSON. Throws RubyError. */
  async run(code: string, args: Record<string, unknown>): Promise<unknown> {
    if (this.#program.hasExited) throw this.#ended()
    this.#lastId += 1
    const id = this.#lastId
    const answer = this.#answerTo(id)
    this.#program.write(`${JSON.stringify({ id, code, args })}\n`)
    return answer
  }

  #answerTo(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  #hear({ id = BOOTED, value, error }: Answer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new RubyError(error.class, error.message, error.backtrace))
  }

  #fail(): void {
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended())
    this.#waiting.clear()
  }

  #ended(): Error {
    return new Error(`Rails ended:\n${this.#program.lastWords()}`)
  }
}
