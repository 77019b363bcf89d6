import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Batch, Job } from '../index.ts'

/** An expected file is missing. */
class FileMissingError extends Error {
  override readonly name = 'FileMissingError'
}

/** A remote service does not respond. */
class NetworkError extends Error {
  override readonly name = 'NetworkError'
}

/** Computes the SHA-256 of a file; a missing file is not retried. */
export class ChecksumJob extends Job {
  static override queueAs = 'demo'
  static {
    this.discardOn(FileMissingError)
  }

  async perform(path: string): Promise<void> {
    await access(path).catch(() => {
      throw new FileMissingError(`${basename(path)} has not arrived`)
    })
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash, { signal: this.signal })
    this.logger.info({ sha256: hash.digest('hex') }, 'Computed a checksum')
  }
}

/** Fails twice, then succeeds: `executions` is the number of the attempt. */
export class FlakyJob extends Job {
  static override queueAs = 'demo'
  static {
    this.retryOn(NetworkError, { wait: 1, attempts: 5, jitter: 0 })
  }

  async perform(): Promise<void> {
    if (this.executions < 3) throw new NetworkError(`no answer to attempt ${this.executions}`)
  }
}

/** Always fails: after three attempts it is discarded. */
export class HopelessJob extends Job {
  static override queueAs = 'demo'
  static {
    this.retryOn(NetworkError, { wait: 1, attempts: 3, jitter: 0 })
  }

  async perform(): Promise<void> {
    throw new NetworkError('there is no such address')
  }
}

/** A job enqueued for later. */
export class ReminderJob extends Job {
  static override queueAs = 'demo'

  async perform(): Promise<void> {
    this.logger.info({ scheduledAt: this.scheduledAt }, 'It is time')
  }
}

/** A callback of the batch. Callbacks run at least once, so they must be idempotent. */
abstract class DeliveryCallback extends Job {
  static override queueAs = 'demo'

  async perform(batch: Batch): Promise<void> {
    this.logger.info({ batch: batch.description }, 'A batch called back')
  }
}

export class DeliveryCompleteJob extends DeliveryCallback {}
export class DeliveryEndedJob extends DeliveryCallback {}
export class DeliveryIncompleteJob extends DeliveryCallback {}
