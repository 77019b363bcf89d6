import { inspect, isDeepStrictEqual } from 'node:util'
import { UnadvanceableCursorError } from '../../errors.ts'
import { stringSuccessor } from './string-successor.ts'

export type StepBody = (step: Step) => unknown

export interface StepOptions {
  /** Initial cursor of the step. @default null */
  readonly start?: unknown
  /** Whether this step, and every later one, runs in its own execution. @default false */
  readonly isolated?: boolean
}

/** A running step with its cursor; the job may be interrupted at each change of the cursor. Active Job 8.1 continuation/step.rb. */
export class Step {
  readonly name: string
  /** Whether an earlier execution began this step. */
  readonly isResumed: boolean
  readonly #start: unknown
  readonly #assertStorable: (cursor: unknown) => void
  readonly #checkpoint: () => void
  #cursor: unknown

  constructor(
    name: string,
    cursor: unknown,
    options: { isResumed: boolean; assertStorable: (cursor: unknown) => void; checkpoint: () => void },
  ) {
    this.name = name
    this.isResumed = options.isResumed
    this.#start = cursor
    this.#cursor = cursor
    this.#assertStorable = options.assertStorable
    this.#checkpoint = options.checkpoint
  }

  /** null, a boolean, a number, a string or an array of them. */
  get cursor(): unknown {
    return this.#cursor
  }

  /** Whether this execution moved the cursor. */
  get isAdvanced(): boolean {
    return !isDeepStrictEqual(this.#start, this.#cursor)
  }

  /**
   * Sets the cursor, and interrupts the job here if the worker is stopping. A cursor that cannot be stored throws SerializationError; the
   * previous cursor is kept, so that the job can be resumed there.
   */
  set(cursor: unknown): void {
    this.#assertStorable(cursor)
    this.#cursor = cursor
    this.#checkpoint()
  }

  /** Sets the cursor to the successor of `from`. Throws UnadvanceableCursorError if there is none. */
  advance({ from = this.#cursor }: { readonly from?: unknown } = {}): void {
    this.set(successor(from))
  }

  /** Interrupts the job here if the worker is stopping. */
  checkpoint(): void {
    // Checked again, because an array may have been changed in place.
    this.#assertStorable(this.#cursor)
    this.#checkpoint()
  }
}

const successor = (cursor: unknown): unknown => {
  if (typeof cursor === 'bigint') return cursor + 1n
  if (typeof cursor === 'number' && Number.isSafeInteger(cursor)) {
    return Number.isSafeInteger(cursor + 1) ? cursor + 1 : BigInt(cursor) + 1n
  }
  const next = typeof cursor === 'string' ? stringSuccessor(cursor) : undefined
  if (next !== undefined) return next
  throw new UnadvanceableCursorError(`The cursor ${describeCursor(cursor)} has no successor; use set()`)
}

/** The text of a cursor in events and errors. */
export const describeCursor = (cursor: unknown): string => {
  if (cursor === null || cursor === undefined) return 'nil'
  if (typeof cursor === 'string') return JSON.stringify(cursor)
  if (Array.isArray(cursor)) return `[${cursor.map(describeCursor).join(', ')}]`
  return typeof cursor === 'object' ? inspect(cursor, { breakLength: Number.POSITIVE_INFINITY }) : String(cursor)
}
