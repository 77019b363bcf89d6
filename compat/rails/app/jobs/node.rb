# frozen_string_literal: true

# Classes whose work is done in Node. Ruby needs their names to enqueue them and to retry them from the dashboard. They have
# a queue of their own, and a Ruby worker is started with --queues=-node.
module Node
  class Stub < ApplicationJob
    class PerformedInNode < StandardError; end

    queue_as 'node'
    discard_on PerformedInNode

    def perform(*) = raise(PerformedInNode, "#{self.class.name} is performed in Node: keep Ruby workers off its queue")
  end

  class EchoJob < Stub; end
  class MemberJob < Stub; end
  class FlakyJob < Stub; end
  class PatientJob < Stub; end
  class DiscardableJob < Stub; end
  class RetryStopJob < Stub; end
  class RetryStopWithBlockJob < Stub; end
  class UnhandledJob < Stub; end
  class InterruptibleJob < Stub; end
  class LabelledJob < Stub; end
  class PriorityJob < Stub; end
  class CronJob < Stub; end
  class BatchCallbackJob < Stub; end
  class FailingCallbackJob < Stub; end
  class FleetJob < Stub; end
  class FleetCallbackJob < Stub; end
end
