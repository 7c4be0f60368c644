-- Orthanc sends new chest radiographs (CR, DX, and secondary captures of them) and CT series to ptx-node, and nothing that comes back from it.
--
-- In Orthanc's configuration:
--   "LuaScripts": ["/etc/orthanc/orthanc-route.lua"],
--   "DicomModalities": {"ptx-node": {"AET": "PTX", "Host": "10.1.2.3", "Port": 11112}}
-- and Orthanc's own AE title in `dicom.peers` of ptx.toml.
--
-- A radiograph is sent as soon as it is stored. A CT series is sent on one association when Orthanc calls it stable
-- ("StableAge", 60 s by default). The node looks closer than this script does: what it does not read costs nothing there.
-- Each sending is a job of Orthanc's own: a failed one is seen at /jobs?expand and tried again by POST /jobs/{id}/resubmit.

local NODE = 'ptx-node'   -- symbolic name in "DicomModalities"
local NODE_AE = 'PTX'     -- AE title the node stores its results with (calling_ae of its destination)

local SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7'
local RADIOGRAPH = {
   ['1.2.840.10008.5.1.4.1.1.1'] = true,     -- Computed Radiography Image Storage
   ['1.2.840.10008.5.1.4.1.1.1.1'] = true,   -- Digital X-Ray Image Storage - For Presentation
}

-- True unless the header says that this is another part of the body. An empty header is sent: the node decides.
local function may_be_chest(tags)
   local part = string.upper(tags['BodyPartExamined'] or '')
   return part == '' or string.find(part, 'CHEST') ~= nil or string.find(part, 'THORAX') ~= nil or string.find(part, 'LUNG') ~= nil
end

local function send(resource)
   RestApiPost('/modalities/' .. NODE .. '/store', DumpJson({Resources = {resource}, Synchronous = false, Permissive = false}, true))
end

function OnStoredInstance(instanceId, tags, metadata, origin)
   if origin['RequestOrigin'] == 'DicomProtocol' and origin['RemoteAet'] == NODE_AE then
      return   -- the node's own result
   end
   local class = tags['SOPClassUID']
   local old_style = class == SECONDARY_CAPTURE and (tags['Modality'] == 'CR' or tags['Modality'] == 'DX')
   if (RADIOGRAPH[class] or old_style) and may_be_chest(tags) then
      send(instanceId)
   end
end

function OnStableSeries(seriesId, tags, metadata)
   if tags['Modality'] == 'CT' and may_be_chest(tags) then
      send(seriesId)
   end
end
