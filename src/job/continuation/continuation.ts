import { ContinuationInterrupt, InvalidStepError } from '../../errors.ts'
import { events } from '../../events.ts'
import { deserializeArguments } from '../../serialize/arguments/arguments.ts'
import type { JsonObject, JsonValue } from '../../serialize/json.ts'
import type { Job } from '../base.ts'
import { jobEvent } from '../job-event.ts'
import { STATE } from '../state.ts'
import { serializeCursor } from './keys.ts'
import { describeCursor, Step, type StepBody, type StepOptions } from './step.ts'

/** The progress of a job with steps: read from its hash, advanced by `step`, stored by a retry. Active Job 8.1 continuation.rb. */
export class Continuation {
  readonly completed: string[]
  resumptions: number
  /** Set when the job is interrupted. If user code catches the exception, the next step throws it again. */
  interrupt: ContinuationInterrupt | null = null
  /** Whether this execution has made progress. */
  isAdvanced = false
  current: Step | null = null
  readonly #job: Job
  readonly #encountered: string[] = []
  #isRunning = false
  #isIsolating = false

  constructor(job: Job, extra: JsonObject | null) {
    this.#job = job
    const progress = asObject(extra?.continuation)
    this.completed = asArray(progress.completed).map(String)
    this.resumptions = Number(extra?.resumptions ?? 0) || 0
    if (Array.isArray(progress.current)) {
      const [name = null, cursor = null] = progress.current
      this.current = this.#makeStep(String(name), this.#readCursor(cursor), true)
    }
  }

  get isStarted(): boolean {
    return this.completed.length > 0 || this.current !== null
  }

  get description(): string {
    if (this.current) return `at '${this.current.name}', cursor '${describeCursor(this.current.cursor)}'`
    const last = this.completed.at(-1)
    return last === undefined ? 'not started' : `after '${last}'`
  }

  async step(
    name: string,
    { body, start = null, isolated = false }: StepOptions & { body?: StepBody | undefined },
  ): Promise<void> {
    this.rethrowInterrupt()
    // Checked first: a step without a function must not become the step at which the job resumes.
    const run = body ?? (this.completed.includes(name) ? undefined : methodOf(this.#job, name))
    if (this.isAdvanced) this.checkpoint()
    this.#validate(name)
    this.#encountered.push(name)
    if (run === undefined || this.completed.includes(name)) {
      events.emit('step_skipped', { ...jobEvent(this.#job), step: name })
      return
    }
    this.#isIsolating ||= isolated
    if (this.#isIsolating && this.isAdvanced) this.#leave('isolating')
    if (this.current === null) this.#assertStorable(start)
    this.current ??= this.#makeStep(name, start, false)
    await this.#run(this.current, run)
  }

  /** Throws the interrupt if the worker asks the job to stop. */
  checkpoint(): void {
    this.rethrowInterrupt()
    const reason = this.#job[STATE].run.stoppingReason?.()
    if (reason) this.#leave(reason)
  }

  /** Throws the interrupt again if user code has caught it. */
  rethrowInterrupt(): void {
    if (this.interrupt) throw this.interrupt
  }

  async #run(step: Step, body: StepBody): Promise<void> {
    const event = { ...jobEvent(this.#job), step: step.name }
    let error: unknown
    this.#isRunning = true
    events.emit('step_started', event)
    try {
      await body(step)
      this.rethrowInterrupt()
      this.completed.push(step.name)
      this.current = null
      this.isAdvanced = true
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      this.#isRunning = false
      this.isAdvanced ||= step.isAdvanced
      events.emit('step', {
        ...event,
        isInterrupted: this.interrupt !== null,
        ...(error === undefined ? {} : { error }),
      })
    }
  }

  #leave(reason: string): never {
    const { description } = this
    this.interrupt = new ContinuationInterrupt(`Interrupted ${description} (${reason})`)
    events.emit('interrupt', { ...jobEvent(this.#job), reason, description })
    throw this.interrupt
  }

  #makeStep(name: string, cursor: unknown, isResumed: boolean): Step {
    return new Step(name, cursor, {
      isResumed,
      assertStorable: (moved) => this.#assertStorable(moved),
      checkpoint: () => this.checkpoint(),
    })
  }

  /** Throws SerializationError for a cursor that cannot be stored: where it is set, not later in the retry. */
  #assertStorable(cursor: unknown): void {
    serializeCursor(cursor ?? null, this.#job[STATE].run.railsVersion)
  }

  // Rails main deserializes a cursor like an argument; 8.1 uses the JSON value itself.
  #readCursor(json: JsonValue): unknown {
    return this.#job[STATE].run.railsVersion === 'main' ? deserializeArguments([json])[0] : json
  }

  #validate(name: string): void {
    const invalid = this.#violation(name)
    if (invalid) throw new InvalidStepError(`Step '${name}' ${invalid}`)
  }

  // Active Job 8.1 continuation/validation.rb.
  #violation(name: string): string | undefined {
    const { completed, current } = this
    const expected = completed[this.#encountered.length]
    if (typeof name !== 'string' || name === '') return 'must have a name'
    if (this.#encountered.includes(name)) return 'has already been encountered'
    if (this.#isRunning) return `is nested inside step '${current?.name}'`
    if (current && current.name !== name && !completed.includes(name)) {
      return `found, expected to resume from '${current.name}'`
    }
    if (expected !== undefined && expected !== name) return `found, expected to see '${expected}'`
    return undefined
  }
}

const asObject = (json: JsonValue | undefined): JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as JsonObject) : {}

const asArray = (json: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(json) ? json : [])

const methodOf = (job: Job, name: string): StepBody => {
  const method = (job as unknown as Record<string, unknown>)[name]
  if (typeof method !== 'function')
    throw new InvalidStepError(`Step '${name}' has no function, and the job has no method of that name`)
  return (step) => method.call(job, step)
}

/** The continuation of a job. Throws InvalidStepError if its class is not `continuable`. */
export const continuationOf = (job: Job): Continuation => {
  const { name, continuable } = job.jobConstructor
  if (!continuable) throw new InvalidStepError(`${name} has steps: add static override continuable = true`)
  const state = job[STATE]
  state.continuation ??= new Continuation(job, state.extra)
  return state.continuation
}
