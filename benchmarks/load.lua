-- Asks for the paths of a file, one after the other, and says in one line of JSON what became of it.
-- Arguments: the file, `checked` to compare the generation in the header of each answer with that in its body, and
-- `once` to stop after the last path instead of beginning again.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   paths, place, mixed = {}, 0, 0
   for line in io.lines(args[1]) do
      paths[#paths + 1] = line
   end
   for position = 2, #args do
      if args[position] == "once" then
         once = true
      elseif args[position] == "checked" then
         response = check
      end
   end
end

-- wrk calls it once before it begins, so the first path is asked for after the last one.
function request()
   if once and place == #paths then
      wrk.thread:stop()
   end
   place = place % #paths + 1
   return wrk.format("GET", paths[place])
end

function check(status, headers, body)
   local stated = nil
   for name, value in pairs(headers) do
      if name:lower() == "x-data-generation" then
         stated = value
      end
   end
   if status == 200 and (stated == nil or stated ~= string.match(body, '"generation":(%d+)')) then
      mixed = mixed + 1
   end
end

function done(summary, latency, requests)
   local errors, mixed = summary.errors, 0
   for _, thread in ipairs(threads) do
      mixed = mixed + thread:get("mixed")
   end
   io.write(string.format(
      '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "worst_ms": %f, ' ..
      '"refused": %d, "broken": %d, "mixed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout, mixed))
end
