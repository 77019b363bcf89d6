// Classes that exist only in Node, on their own queue: rails/app/jobs/node.rb has the stubs that Ruby needs of them.
import {
  BatchCallbackJob,
  CronJob,
  DiscardableJob,
  FailingCallbackJob,
  FlakyJob,
  InterruptibleJob,
  LabelledJob,
  MemberJob,
  PatientJob,
  PriorityJob,
  RetryStopJob,
  RetryStopWithBlockJob,
  UnhandledJob,
} from './node-jobs.ts'

export { NodeEchoJob } from './node-jobs.ts'

export class NodeMemberJob extends MemberJob {
  static override jobClass = 'Node::MemberJob'
  static override queueAs = 'node'
}

export class NodeFlakyJob extends FlakyJob {
  static override jobClass = 'Node::FlakyJob'
  static override queueAs = 'node'
}

export class NodePatientJob extends PatientJob {
  static override jobClass = 'Node::PatientJob'
  static override queueAs = 'node'
}

export class NodeDiscardableJob extends DiscardableJob {
  static override jobClass = 'Node::DiscardableJob'
  static override queueAs = 'node'
}

export class NodeRetryStopJob extends RetryStopJob {
  static override jobClass = 'Node::RetryStopJob'
  static override queueAs = 'node'
}

export class NodeRetryStopWithBlockJob extends RetryStopWithBlockJob {
  static override jobClass = 'Node::RetryStopWithBlockJob'
  static override queueAs = 'node'
}

export class NodeUnhandledJob extends UnhandledJob {
  static override jobClass = 'Node::UnhandledJob'
  static override queueAs = 'node'
}

export class NodeInterruptibleJob extends InterruptibleJob {
  static override jobClass = 'Node::InterruptibleJob'
  static override queueAs = 'node'
}

export class NodeLabelledJob extends LabelledJob {
  static override jobClass = 'Node::LabelledJob'
  static override queueAs = 'node'
}

export class NodePriorityJob extends PriorityJob {
  static override jobClass = 'Node::PriorityJob'
  static override queueAs = 'node'
}

export class NodeCronJob extends CronJob {
  static override jobClass = 'Node::CronJob'
  static override queueAs = 'node'
}

export class NodeBatchCallbackJob extends BatchCallbackJob {
  static override jobClass = 'Node::BatchCallbackJob'
  static override queueAs = 'node'
}

export class NodeFailingCallbackJob extends FailingCallbackJob {
  static override jobClass = 'Node::FailingCallbackJob'
  static override queueAs = 'node'
}

/** Ruby has not even a stub of it. */
export class OnlyInNodeJob extends BatchCallbackJob {
  static override jobClass = 'OnlyInNodeJob'
  static override queueAs = 'node'
}

/** The same for a job that a test can let wait and fail. */
export class UnknownToRubyJob extends MemberJob {
  static override jobClass = 'UnknownToRubyJob'
  static override queueAs = 'node'
}
