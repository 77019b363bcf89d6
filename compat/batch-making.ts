import { Batch } from '../dist/index.js'
import { MemberJob } from './node-jobs.ts'
import { NodeMemberJob } from './node-only-jobs.ts'
import type { RailsApp } from './rails-app.ts'

export type Side = 'Ruby' | 'Node'

/** A batch that was not enqueued yet, made in the Ruby console. */
const CREATE_IN_RUBY = `
  batch = GoodJob::Batch.new(
    description: args[:description], on_success: args[:on_success], on_finish: args[:on_finish], **args[:properties].to_h.symbolize_keys
  )
  batch.callback_queue_name = args[:callback_queue]
  batch.callback_priority = args[:callback_priority]
  batch.save
  batch.id`

const FILL_IN_RUBY = `
  batch = GoodJob::Batch.find(args[:id])
  batch.public_send(args[:step]) do
    args[:members].each do |member|
      job = member[:job_class].constantize
      (member[:queue] ? job.set(queue: member[:queue]) : job).perform_later(member[:name])
    end
  end
  nil`

/** The options of a new batch. */
export interface Wanted {
  readonly description?: string
  readonly onSuccess?: string
  readonly onFinish?: string
  readonly callbackQueueName?: string
  readonly callbackPriority?: number
}

/** A member to enqueue, of a class that both languages know. */
export interface Member {
  readonly name: string
  readonly jobClass?: 'MemberJob' | 'Node::MemberJob'
  readonly queue?: string
}

/** Makes a batch without enqueueing it, in the Ruby console or here; returns its id. */
export const createBatch = async (
  app: RailsApp,
  by: Side,
  wanted: Wanted,
  properties?: Record<string, unknown>,
): Promise<string> => {
  if (by === 'Node')
    return (await new Batch({ ...wanted, ...(properties === undefined ? {} : { properties }) }).save()).id
  return app.run(CREATE_IN_RUBY, {
    description: wanted.description,
    on_success: wanted.onSuccess,
    on_finish: wanted.onFinish,
    callback_queue: wanted.callbackQueueName,
    callback_priority: wanted.callbackPriority,
    properties,
  })
}

/** Adds members to a batch, or enqueues it with them, in the Ruby console or here. */
export const fillBatch = async (
  app: RailsApp,
  by: Side,
  { id, step, members }: { readonly id: string; readonly step: 'add' | 'enqueue'; readonly members: readonly Member[] },
): Promise<void> => {
  if (by === 'Ruby') {
    const named = members.map(({ name, jobClass = 'MemberJob', queue }) => ({ name, job_class: jobClass, queue }))
    await app.run(FILL_IN_RUBY, { id, step, members: named })
    return
  }
  const batch = await Batch.find(id)
  await batch[step](async () => {
    for (const { name, jobClass, queue } of members) {
      const member = jobClass === 'Node::MemberJob' ? NodeMemberJob : MemberJob
      await member.set(queue === undefined ? {} : { queue }).performLater(name)
    }
  })
}
