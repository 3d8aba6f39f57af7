-- Shows in Wireshark what torrentnet's tracker and peers say to each other over UDP: the requests of BEP 15 with the
-- URL data of BEP 41, and the project's own look-up, possession and outcome. docs/protocol.md describes each byte.
-- In a capture of `torrentnet capture` it also shows which packets a fault stopped; docs/wireshark.md is a guided tour.
--
--   wireshark -X lua_script:docs/torrentnet.lua capture.pcapng
--   tshark -X lua_script:docs/torrentnet.lua -r capture.pcapng -Y torrentnet
--
-- Written for Lua 5.2 and later, which is what Wireshark 4.0 and later bring.

local torrentnet = Proto("torrentnet", "TorrentNet Tracker Protocol")

torrentnet.prefs.ports = Pref.range("Tracker's UDP ports", "6771",
    "Packets from and to these ports are taken at once; on any other port a conversation begins with a connect request",
    65535)

local PROTOCOL_ID_HIGH, PROTOCOL_ID_LOW = 0x417, 0x27101980
local CONNECT, ANNOUNCE, SCRAPE, ERROR = 0, 1, 2, 3
local LOOKUP, POSSESSION, OUTCOME = 0x544e0001, 0x544e0002, 0x544e0003
local VERSION = 1
local BITFIELD, RANGES = 0, 1
local URL_DATA, FILLING, END_OF_OPTIONS = 2, 1, 0
local MAX_WINDOW = 11000

local ACTIONS = {
    [CONNECT] = "connect", [ANNOUNCE] = "announce", [SCRAPE] = "scrape", [ERROR] = "error",
    [LOOKUP] = "look-up", [POSSESSION] = "possession", [OUTCOME] = "outcome",
}
local OWN = { [LOOKUP] = true, [POSSESSION] = true, [OUTCOME] = true }
local EVENTS = { [0] = "none (keep-alive)", [1] = "completed", [2] = "started", [3] = "stopped" }
local RESULTS = { [1] = "succeeded", [2] = "failed" }
local ENCODINGS = { [BITFIELD] = "bitfield", [RANGES] = "ranges" }
local OPTIONS = { [END_OF_OPTIONS] = "end of options", [FILLING] = "filling", [URL_DATA] = "URL data" }

local function field(kind, name, label, ...)
    return ProtoField[kind]("torrentnet." .. name, label, ...)
end

-- The names are those of docs/protocol.md; a field of a list (holder[0].name) goes without the list's name and number.
local fields = {
    protocol_id = field("uint64", "protocol_id", "Protocol id", base.HEX),
    connection_id = field("uint64", "connection_id", "Connection id", base.HEX),
    action = field("uint32", "action", "Action", base.HEX, ACTIONS),
    transaction_id = field("uint32", "transaction_id", "Transaction id", base.HEX),
    info_hash = field("bytes", "info_hash", "Info-hash"),
    peer_id = field("bytes", "peer_id", "Peer id"),
    downloaded = field("uint64", "downloaded", "Downloaded (bytes)"),
    left = field("uint64", "left", "Left (bytes)"),
    uploaded = field("uint64", "uploaded", "Uploaded (bytes)"),
    event = field("uint32", "event", "Event", base.DEC, EVENTS),
    ip = field("ipv4", "ip", "IP address (ignored)"),
    key = field("uint32", "key", "Key", base.HEX),
    want = field("int32", "want", "Peers wanted"),
    port = field("uint16", "port", "TCP port"),
    option = field("uint8", "option", "Option", base.DEC, OPTIONS),
    option_size = field("uint8", "option_size", "Option size"),
    option_data = field("bytes", "option_data", "Option data"),
    url = field("string", "url", "URL"),
    interval = field("uint32", "interval", "Interval (s)"),
    leechers = field("uint32", "leechers", "Leechers"),
    seeders = field("uint32", "seeders", "Seeders"),
    completed = field("uint32", "completed", "Downloads completed"),
    address = field("ipv4", "address", "Address"),
    message = field("string", "message", "Message"),
    version = field("uint8", "version", "Version"),
    flags = field("uint8", "flags", "Flags", base.HEX),
    found = field("bool", "found", "Name is bound to a file", 8, nil, 0x01),
    reserved = field("uint16", "reserved", "Reserved", base.HEX),
    first = field("uint32", "first", "First"),
    count = field("uint32", "count", "Count"),
    request = field("uint32", "request", "Number in the tracker's request log"),
    name_size = field("uint8", "name_size", "Name size"),
    peer_size = field("uint8", "peer_size", "Peer name size"),
    name = field("string", "name", "File name"),
    peer = field("string", "peer", "Peer name"),
    keepalive_ms = field("uint32", "keepalive_ms", "Keep-alive interval (ms)"),
    timeout_ms = field("uint32", "timeout_ms", "Time-out (ms)"),
    size = field("uint64", "size", "File size (bytes)"),
    piece_length = field("uint32", "piece_length", "Piece length (bytes)"),
    complete = field("uint32", "complete", "Complete peers"),
    incomplete = field("uint32", "incomplete", "Incomplete peers"),
    encoding = field("uint8", "encoding", "Encoding", base.DEC, ENCODINGS),
    pieces = field("uint32", "pieces", "Pieces"),
    bitfield = field("bytes", "bitfield", "Bitfield"),
    pieces_held = field("string", "pieces_held", "Pieces held"),
    held = field("uint32", "held", "Pieces held, as the tracker knows"),
    result = field("uint8", "result", "Result", base.DEC, RESULTS),
    transferred = field("uint64", "transferred", "Transferred (bytes)"),
    elapsed_ms = field("uint32", "elapsed_ms", "Elapsed (ms)"),
    sources = field("uint8", "sources", "Sources"),
    reason_size = field("uint8", "reason_size", "Reason size"),
    reason = field("string", "reason", "Reason"),
    rest = field("bytes", "rest", "Unknown bytes at the end"),
    request_in = field("framenum", "request_in", "Reply to the request in frame", base.NONE, frametype.REQUEST),
    repeat_of = field("framenum", "repeat_of", "Repeat of the request in frame", base.NONE, frametype.RETRANS_PREV),
}
local all_fields = {}
for _, made in pairs(fields) do all_fields[#all_fields + 1] = made end
torrentnet.fields = all_fields

local cut_short = ProtoExpert.new("torrentnet.cut_short", "Packet ends too early", expert.group.MALFORMED, expert.severity.ERROR)
local refused = ProtoExpert.new("torrentnet.refused", "The tracker refuses", expert.group.RESPONSE_CODE, expert.severity.WARN)
torrentnet.experts = { cut_short, refused }

-- What stands at the beginning of each packet: {field, size} in order.
local OWN_REQUEST = { { "connection_id", 8 }, { "action", 4 }, { "transaction_id", 4 }, { "version", 1 } }
local OWN_REPLY = { { "action", 4 }, { "transaction_id", 4 }, { "version", 1 }, { "flags", 1 } }

local function layout(head, ...)
    local joined = {}
    for _, row in ipairs(head) do joined[#joined + 1] = row end
    for _, row in ipairs({ ... }) do joined[#joined + 1] = row end
    return joined
end

local REQUESTS = {
    [CONNECT] = layout({ { "protocol_id", 8 }, { "action", 4 }, { "transaction_id", 4 } }),
    [ANNOUNCE] = layout({ { "connection_id", 8 }, { "action", 4 }, { "transaction_id", 4 } },
        { "info_hash", 20 }, { "peer_id", 20 }, { "downloaded", 8 }, { "left", 8 }, { "uploaded", 8 }, { "event", 4 },
        { "ip", 4 }, { "key", 4 }, { "want", 4 }, { "port", 2 }),
    [SCRAPE] = layout({ { "connection_id", 8 }, { "action", 4 }, { "transaction_id", 4 } }),
    [LOOKUP] = layout(OWN_REQUEST, { "flags", 1 }, { "first", 2 }, { "request", 4 }, { "peer_id", 20 }, { "port", 2 },
        { "name_size", 1 }, { "peer_size", 1 }),
    [POSSESSION] = layout(OWN_REQUEST, { "encoding", 1 }, { "port", 2 }, { "info_hash", 20 }, { "peer_id", 20 },
        { "pieces", 4 }, { "first", 4 }, { "count", 4 }),
    [OUTCOME] = layout(OWN_REQUEST, { "result", 1 }, { "port", 2 }, { "info_hash", 20 }, { "peer_id", 20 },
        { "request", 4 }, { "transferred", 8 }, { "elapsed_ms", 4 }, { "sources", 1 }, { "reason_size", 1 },
        { "reserved", 2 }),
}
local REPLIES = {
    [CONNECT] = layout({ { "action", 4 }, { "transaction_id", 4 }, { "connection_id", 8 } }),
    [ANNOUNCE] = layout({ { "action", 4 }, { "transaction_id", 4 }, { "interval", 4 }, { "leechers", 4 }, { "seeders", 4 } }),
    [SCRAPE] = layout({ { "action", 4 }, { "transaction_id", 4 } }),
    [ERROR] = layout({ { "action", 4 }, { "transaction_id", 4 } }),
    [LOOKUP] = layout(OWN_REPLY, { "reserved", 2 }, { "request", 4 }, { "keepalive_ms", 4 }, { "timeout_ms", 4 },
        { "info_hash", 20 }, { "size", 8 }, { "piece_length", 4 }, { "complete", 4 }, { "incomplete", 4 },
        { "first", 2 }, { "count", 2 }),
    [POSSESSION] = layout(OWN_REPLY, { "reserved", 2 }, { "keepalive_ms", 4 }, { "timeout_ms", 4 }, { "held", 4 }),
    [OUTCOME] = layout(OWN_REPLY, { "reserved", 2 }, { "request", 4 }),
}

-- Text from a packet as it may be shown: what is no UTF-8 or no character to be seen becomes a question mark.
local function clean(raw)
    local shown, at = {}, 1
    while at <= #raw do
        local byte, second = raw:byte(at), raw:byte(at + 1) or 0
        local size = byte >= 0x20 and byte < 0x7F and 1 or byte >= 0xC2 and byte < 0xE0 and 2
            or byte >= 0xE0 and byte < 0xF0 and 3 or byte >= 0xF0 and byte < 0xF5 and 4 or 0
        local part = raw:sub(at, at + size - 1)
        local overlong = byte == 0xE0 and second < 0xA0 or byte == 0xF0 and second < 0x90
        local beyond = byte == 0xED and second > 0x9F or byte == 0xF4 and second > 0x8F
        if size == 0 or #part < size or overlong or beyond or part:find("[^\x80-\xBF]", 2) then
            part, size = "?", 1
        end
        shown[#shown + 1] = part
        at = at + size
    end
    return table.concat(shown)
end

-- Goes through a packet from front to back; `ok` turns false, with a note in the tree, where the packet ends too early.
local Cursor = {}
Cursor.__index = Cursor

local function cursor(tvb)
    return setmetatable({ tvb = tvb, at = 0, ok = true, values = {} }, Cursor)
end

function Cursor:left()
    return self.tvb:len() - self.at
end

function Cursor:take(size, tree)
    if not self.ok then return nil end
    if size > self:left() then
        self.ok = false
        tree:add_proto_expert_info(cut_short)
        return nil
    end
    local range = self.tvb(self.at, size)
    self.at = self.at + size
    return range
end

-- Adds the next `size` bytes to `tree` as `name`, and keeps and returns a number's value.
function Cursor:put(name, size, tree)
    local range = self:take(size, tree)
    if not range then return nil end
    tree:add(fields[name], range)
    if size <= 4 then
        self.values[name] = range:uint()
        return self.values[name]
    end
    self.values[name] = range
    return range
end

function Cursor:text(name, size, tree)
    local range = self:take(size, tree)
    if not range then return "" end
    if size > 0 then tree:add_packet_field(fields[name], range, ENC_UTF_8) end
    return size > 0 and clean(range:raw()) or ""
end

-- Runs of pieces as people read them; `each` calls its argument with (first, count) in order.
local function describe(each, count)
    local runs, held = {}, 0
    each(function(first, length)
        held = held + length
        runs[#runs + 1] = length == 1 and tostring(first) or string.format("%d-%d", first, first + length - 1)
    end)
    if held == 0 then return string.format("none of %d", count) end
    if held == count then return string.format("all %d", count) end
    return string.format("%s (%d of %d)", table.concat(runs, ", "), held, count)
end

local function bitfield_runs(range, first, count)
    return function(run)
        local start = nil
        for piece = 0, count - 1 do
            local byte = range(math.floor(piece / 8), 1):uint()
            local held = math.floor(byte / 2 ^ (7 - piece % 8)) % 2 == 1
            if held and not start then start = piece end
            if start and not held then
                run(first + start, piece - start)
                start = nil
            end
        end
        if start then run(first + start, count - start) end
    end
end

local function unescape(text)
    return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- BEP 41. Long URLs come in several options; the joined one and what it says of file and peer are shown as generated.
local function announce_options(c, tree)
    local url = ""
    while c.ok and c:left() > 0 do
        local kind = c.tvb(c.at, 1):uint()
        local size = c:left() > 1 and c.tvb(c.at + 1, 1):uint() or 0
        local alone = kind == END_OF_OPTIONS or kind == FILLING
        local item = tree:add(torrentnet, c.tvb(c.at, alone and 1 or math.min(c:left(), 2 + size)),
            "Option: " .. (OPTIONS[kind] or "unknown"))
        c:put("option", 1, item)
        if kind == END_OF_OPTIONS then break end
        if not alone then
            c:put("option_size", 1, item)
            local range = c:take(size, item)
            if range and size > 0 then
                item:add(fields.option_data, range)
                if kind == URL_DATA then url = url .. range:raw() end
            end
        end
    end
    if url == "" then return "" end
    tree:add(fields.url, clean(url)):set_generated()
    local said = {}
    for key, value in (url:match("%?([^#]*)") or ""):gmatch("([^&=]+)=([^&]*)") do said[key] = clean(unescape(value)) end
    if said.name then tree:add(fields.name, said.name):set_generated() end
    if said.peer then tree:add(fields.peer, said.peer):set_generated() end
    return said.name and string.format(' "%s"', said.name) or ""
end

local function endpoint(c, tree)
    local address = c:put("address", 4, tree)
    local port = c:put("port", 2, tree)
    if not port then return "" end
    local at = c.at - 6
    return string.format("%s:%d", tostring(c.tvb(at, 4):ipv4()), port)
end

local function entry(c, tree, title)
    return tree:add(torrentnet, c.tvb(c.at), title)
end

local function finish(c, item, start, title)
    item:set_len(c.at - start)
    item:set_text(title)
end

-- What follows the fixed part, and what the list of packets says. Each returns the text for the info column.
local request_tails = {
    [CONNECT] = function() return "" end,
    [ANNOUNCE] = function(c, tree)
        local event = c.values.event
        local name = announce_options(c, tree)
        return string.format(": %s%s", EVENTS[event] or ("event " .. event), name)
    end,
    [SCRAPE] = function(c, tree)
        while c.ok and c:left() > 0 do c:put("info_hash", 20, tree) end
        return ""
    end,
    [LOOKUP] = function(c, tree)
        local name = c:text("name", c.values.name_size, tree)
        local peer = c:text("peer", c.values.peer_size, tree)
        return string.format(': "%s" for %s', name, peer)
    end,
    [POSSESSION] = function(c, tree)
        local first, count = c.values.first, c.values.count
        local said = ""
        if c.values.encoding == BITFIELD then
            local size = math.ceil(count / 8)
            local range = count <= MAX_WINDOW and c:take(size, tree)
            if range and size > 0 then
                tree:add(fields.bitfield, range)
                said = describe(bitfield_runs(range, first, count), count)
            end
        elseif c.values.encoding == RANGES then
            local runs = {}
            while c.ok and c:left() > 0 do
                local start = c.at
                local item = entry(c, tree, "Range")
                local range_first = c:put("first", 4, item)
                local range_count = c:put("count", 4, item)
                if range_count then
                    runs[#runs + 1] = { range_first, range_count }
                    finish(c, item, start, string.format("Range: %d from %d on", range_count, range_first))
                end
            end
            said = describe(function(run)
                for _, pair in ipairs(runs) do run(pair[1], pair[2]) end
            end, count)
        end
        if said ~= "" then tree:add(fields.pieces_held, said):set_generated() end
        return ": " .. said
    end,
    [OUTCOME] = function(c, tree)
        local reason_size = c.values.reason_size
        for _ = 1, c.values.sources do
            if not c.ok or c:left() == 0 then break end
            local start = c.at
            local item = entry(c, tree, "Source")
            local where = endpoint(c, item)
            local pieces = c:put("pieces", 4, item)
            local size = c:put("name_size", 1, item)
            if size then
                local name = c:text("peer", size, item)
                finish(c, item, start, string.format("Source: %d pieces from %s, %s", pieces, name, where))
            end
        end
        local reason = c:text("reason", reason_size, tree)
        return string.format(": request %d %s%s", c.values.request, RESULTS[c.values.result] or "?",
            reason ~= "" and (", " .. reason) or "")
    end,
}
local reply_tails = {
    [CONNECT] = function() return "" end,
    [ANNOUNCE] = function(c, tree)
        local said = string.format(": %d seeders, %d leechers, again in %d s",
            c.values.seeders, c.values.leechers, c.values.interval)
        while c.ok and c:left() > 0 do
            local start = c.at
            local item = entry(c, tree, "Peer")
            local where = endpoint(c, item)
            if c.ok then finish(c, item, start, "Peer: " .. where) end
        end
        return said
    end,
    [SCRAPE] = function(c, tree)
        while c.ok and c:left() > 0 do
            local start = c.at
            local item = entry(c, tree, "Swarm")
            c:put("seeders", 4, item)
            c:put("completed", 4, item)
            c:put("leechers", 4, item)
            if c.ok then finish(c, item, start, "Swarm") end
        end
        return ""
    end,
    [ERROR] = function(c, tree)
        local message = c:text("message", c:left(), tree)
        tree:add_proto_expert_info(refused, "The tracker refuses: " .. message)
        return ": " .. message
    end,
    [LOOKUP] = function(c, tree)
        local found = c.values.flags % 2 == 1
        tree:add(fields.found, c.tvb(9, 1))
        local said = string.format(": request %d, %s", c.values.request, found
            and string.format("%d complete, %d incomplete", c.values.complete, c.values.incomplete) or "no such name")
        for _ = 1, c.values.count do
            if not c.ok then break end
            if c:left() == 0 then
                tree:add_proto_expert_info(cut_short)
                break
            end
            local start = c.at
            local item = entry(c, tree, "Holder")
            local where = endpoint(c, item)
            local size = c:put("name_size", 1, item)
            if size then
                local name = c:text("peer", size, item)
                finish(c, item, start, string.format("Holder: %s, %s", name, where))
            end
        end
        return said
    end,
    [POSSESSION] = function(c) return string.format(": %d pieces known", c.values.held) end,
    [OUTCOME] = function(c) return string.format(": request %d is closed", c.values.request) end,
}

local function word(tvb, offset)
    return tvb(offset, 4):uint()
end

-- A request has its action at offset 8, a reply at offset 0, and no connection id begins with an action's number.
local function kind_of(tvb)
    local length = tvb:len()
    if length < 8 then return nil end
    local first = word(tvb, 0)
    if REPLIES[first] then return first, true end
    if length < 16 then return nil end
    local action = word(tvb, 8)
    if action == CONNECT then
        if first == PROTOCOL_ID_HIGH and word(tvb, 4) == PROTOCOL_ID_LOW then return CONNECT, false end
        return nil
    end
    if REQUESTS[action] then return action, false end
    return nil
end

-- Frames of requests by addresses and transaction id, so that repeats and replies can point to them.
local requests_seen = {}
local links = {}

function torrentnet.init()
    requests_seen = {}
    links = {}
end

local function link(pinfo, action, is_reply, transaction_id)
    if not pinfo.visited then
        local from = string.format("%s:%d", tostring(pinfo.src), pinfo.src_port)
        local to = string.format("%s:%d", tostring(pinfo.dst), pinfo.dst_port)
        local key = (is_reply and (to .. ">" .. from) or (from .. ">" .. to)) .. ":" .. transaction_id
        local seen = requests_seen[key]
        if is_reply and seen then
            links[pinfo.number] = { seen.frame, true }
        elseif not is_reply and seen and seen.action == action then
            links[pinfo.number] = { seen.frame, false }
        elseif not is_reply then
            requests_seen[key] = { frame = pinfo.number, action = action }
        end
    end
    return links[pinfo.number]
end

function torrentnet.dissector(tvb, pinfo, tree)
    local action, is_reply = kind_of(tvb)
    if not action then return 0 end
    local layouts = is_reply and REPLIES or REQUESTS
    local tails = is_reply and reply_tails or request_tails
    pinfo.cols.protocol = "TorrentNet"
    local item = tree:add(torrentnet, tvb())
    local c = cursor(tvb)
    for _, row in ipairs(layouts[action]) do c:put(row[1], row[2], item) end
    local title = ACTIONS[action] .. (is_reply and action ~= ERROR and " reply" or "")
    local said = c.ok and tails[action](c, item) or ""
    if c.ok and c:left() > 0 then item:add(fields.rest, tvb(c.at)) end
    local linked = c.values.transaction_id and link(pinfo, action, is_reply, c.values.transaction_id)
    if linked then
        item:add(linked[2] and fields.request_in or fields.repeat_of, linked[1]):set_generated()
        if not linked[2] then said = said .. " [repeat]" end
    end
    pinfo.cols.info = title .. said
    item:append_text(", " .. title .. said)
    return tvb:len()
end

-- For ports that nobody named: a connect request, or a packet of our own with the version where it belongs.
local function looks_like_ours(tvb, pinfo, tree)
    local action, is_reply = kind_of(tvb)
    if not action then return false end
    if OWN[action] then
        local at = is_reply and 8 or 16
        if tvb:len() <= at or tvb(at, 1):uint() ~= VERSION then return false end
    elseif action ~= CONNECT or is_reply then
        return false
    end
    pinfo.conversation = torrentnet
    torrentnet.dissector(tvb, pinfo, tree)
    return true
end
torrentnet:register_heuristic("udp", looks_like_ours)

local udp_ports = DissectorTable.get("udp.port")
local registered = nil

local function register_ports()
    if registered and registered ~= "" then udp_ports:remove(registered, torrentnet) end
    registered = torrentnet.prefs.ports
    if registered and registered ~= "" then udp_ports:add(registered, torrentnet) end
end

function torrentnet.prefs_changed()
    register_ports()
end
register_ports()

-- The comments of `torrentnet capture`: what a fault did to a packet, and what its receiver said of it. They become
-- fields, so that a filter finds them, and the first words of the packet's line.

local lab = Proto("torrentnet_lab", "TorrentNet Lab")

local marks = {
    stopped_by = ProtoField.string("torrentnet.stopped_by", "Stopped on arrival by"),
    doubt = ProtoField.string("torrentnet.doubt", "May not have arrived"),
    said = ProtoField.string("torrentnet.said", "Receiver's event"),
}
lab.fields = marks

local comment = Field.new("frame.comment")
local STOPPED, DOUBTFUL = "^stopped on arrival at %S+ by (.*)$", "^may have been "

function lab.dissector(_, pinfo, tree)
    local found = { comment() }
    if #found == 0 then return end
    local branch = tree:add(lab, "TorrentNet Lab")
    local front = ""
    for _, info in ipairs(found) do
        local text = tostring(info.value)
        local fault = text:match(STOPPED)
        if fault then
            branch:add(marks.stopped_by, fault):set_generated()
            front = "[stopped by " .. fault .. "] "
        elseif text:find(DOUBTFUL) then
            branch:add(marks.doubt, text):set_generated()
            front = "[may not have arrived] "
        else
            branch:add(marks.said, text):set_generated()
        end
    end
    if front ~= "" then
        pinfo.cols.info:prepend(front)
    end
end

register_postdissector(lab)
