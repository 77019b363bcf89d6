/** The statics of a class that decide about queue names. */
export interface QueueNaming {
  readonly queueNamePrefix: string | null
  readonly queueNameDelimiter: string
  readonly defaultQueueName: string
}

/** A queue name with the class's prefix; null means the default queue. Active Job queue_name.rb#queue_name_from_part. */
export const queueNameFromPart = (naming: QueueNaming, part: string | null | undefined): string => {
  const name = part ?? naming.defaultQueueName
  const prefix = naming.queueNamePrefix
  return prefix === null || prefix.trim() === '' ? name : `${prefix}${naming.queueNameDelimiter}${name}`
}
