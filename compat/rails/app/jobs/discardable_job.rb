# frozen_string_literal: true

class DiscardableJob < ApplicationJob
  class Gone < StandardError; end

  discard_on Gone

  def perform = raise(Gone, 'nothing to do any more')
end
