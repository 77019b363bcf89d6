import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Batch, Job } from '../index.ts'

/** A file that should be there is not. */
class FileMissingError extends Error {
  override readonly name = 'FileMissingError'
}

/** The other side does not answer. */
class NetworkError extends Error {
  override readonly name = 'NetworkError'
}

/** Computes the SHA-256 of a file; a file that is missing is not worth a retry. */
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

/** Fails twice, then works: `executions` is the number of the attempt. */
export class FlakyJob extends Job {
  static override queueAs = 'demo'
  static {
    this.retryOn(NetworkError, { wait: 1, attempts: 5, jitter: 0 })
  }

  async perform(): Promise<void> {
    if (this.executions < 3) throw new NetworkError(`no answer to attempt ${this.executions}`)
  }
}

/** Never works: three attempts, then it is discarded. */
export class HopelessJob extends Job {
  static override queueAs = 'demo'
  static {
    this.retryOn(NetworkError, { wait: 1, attempts: 3, jitter: 0 })
  }

  async perform(): Promise<void> {
    throw new NetworkError('nobody lives here')
  }
}

/** Enqueued for later. */
export class ReminderJob extends Job {
  static override queueAs = 'demo'

  async perform(): Promise<void> {
    this.logger.info({ scheduledAt: this.scheduledAt }, 'It is time')
  }
}

/** Callbacks of the batch: called at least once, so they must do no harm when called again. */
abstract class DeliveryCallback extends Job {
  static override queueAs = 'demo'

  async perform(batch: Batch): Promise<void> {
    this.logger.info({ batch: batch.description }, 'A batch called back')
  }
}

export class DeliveryCompleteJob extends DeliveryCallback {}
export class DeliveryEndedJob extends DeliveryCallback {}
export class DeliveryIncompleteJob extends DeliveryCallback {}
