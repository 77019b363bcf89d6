# frozen_string_literal: true

require_relative 'bundle'
require 'bundler/setup'
