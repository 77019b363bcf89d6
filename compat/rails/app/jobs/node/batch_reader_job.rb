# frozen_string_literal: true

# Ruby enqueues it; its work is done in Node.
class Node::BatchReaderJob < Node::Stub
  queue_with_priority 6
end
