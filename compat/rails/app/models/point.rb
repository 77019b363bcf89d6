# frozen_string_literal: true

Point = Struct.new(:x, :y)
