// A callback that records the batch as it reads it; rails/app/jobs/batch_reader_job.rb does the same in Ruby.
import { inspect } from 'node:util'
import { type Batch, Job, type RubySymbol } from '../dist/index.js'
import { record } from './node-jobs.ts'

/** A value with all of its content as text, whether or not its hashes have a prototype. */
export const describeValue = (value: unknown): string =>
  inspect(value, { depth: 20, sorted: true, breakLength: Infinity }).replaceAll('[Object: null prototype] ', '')

export class NodeBatchReaderJob extends Job {
  static override jobClass = 'Node::BatchReaderJob'
  static override queueAs = 'node'
  static override priority = 6

  override async perform(batch: Batch, { event }: { readonly event: RubySymbol }): Promise<void> {
    const { total } = await batch.status()
    await record(this, 'batch_read', {
      event: event.name,
      batch_id: batch.id,
      description: batch.description,
      members: total,
      properties: describeValue(batch.properties),
    })
    batch.properties = { ...batch.properties, read_in: 'node' }
    await batch.save()
  }
}
