import { type EventMap, type Events, events as processEvents } from '../events.ts'

/** What happened to batches since counting began. */
export interface BatchCounts {
  /** By callback event. */
  readonly callbacks: Readonly<Record<EventMap['batch_callback_enqueued']['event'], number>>
  readonly discarded: number
  readonly completed: number
  readonly recovered: number
  /** Steps that another process left undone, by reason. */
  readonly healed: Readonly<Record<EventMap['batch_healed']['reason'], number>>
  /** Batches whose recovery was refused because success could not be proven; a batch counts once for each reason. */
  readonly unproven: number
  readonly falseSuccesses: number
}

/** Counts the events of batches in this Node process. */
export class BatchCounters {
  readonly #counts = {
    callbacks: { discard: 0, success: 0, finish: 0 },
    discarded: 0,
    completed: 0,
    recovered: 0,
    healed: { owed_success: 0, owed_discard: 0, hung: 0, unfinished: 0 },
    unproven: 0,
    falseSuccesses: 0,
  }
  readonly #detach: () => void

  constructor(events: Events = processEvents) {
    const counts = this.#counts
    const onCallback = ({ event }: EventMap['batch_callback_enqueued']) => void counts.callbacks[event]++
    const onDiscarded = () => void counts.discarded++
    const onCompleted = () => void counts.completed++
    const onRecovered = () => void counts.recovered++
    const onHealed = ({ reason }: EventMap['batch_healed']) => void counts.healed[reason]++
    const onUnproven = () => void counts.unproven++
    const onFalseSuccess = () => void counts.falseSuccesses++
    events
      .on('batch_callback_enqueued', onCallback)
      .on('batch_discarded', onDiscarded)
      .on('batch_completed', onCompleted)
      .on('batch_recovered', onRecovered)
      .on('batch_healed', onHealed)
      .on('batch_unproven', onUnproven)
      .on('batch_false_success', onFalseSuccess)
    this.#detach = () =>
      void events
        .off('batch_callback_enqueued', onCallback)
        .off('batch_discarded', onDiscarded)
        .off('batch_completed', onCompleted)
        .off('batch_recovered', onRecovered)
        .off('batch_healed', onHealed)
        .off('batch_unproven', onUnproven)
        .off('batch_false_success', onFalseSuccess)
  }

  /** The counts so far, as a copy. */
  get counts(): BatchCounts {
    return structuredClone(this.#counts)
  }

  /** Stops counting. */
  close(): void {
    this.#detach()
  }
}
